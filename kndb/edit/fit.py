"""The smallest change of some neurons' rows that makes a model say a new answer first.

With ``U`` the change of the rows, in typical row lengths of their layers, a fit minimises

    |U|^2 + keep * mean |a U|^2 / |a_own|^2

such that each token of the new answer has log-odds ``ln p/(1-p)`` of at least an aim above 0, which
makes it the first choice, on each prompt to change. ``a`` are the neurons' activations at a token
of the prompts to keep, over which the mean goes, and ``a_own`` those at the answer positions of the
prompts to change: the second term is what the change writes where nothing should change.

This is least squares over the activations, as in ROME and MEMIT (Meng et al. 2022, 2023), for any
neurons in any layers. Log-odds are not linear in the weights. So they are linearised again and
again: first steps lead to a change that reaches the aim, then others make it smaller (sequential
quadratic programming). A round is one forward and one backward pass, and closed form besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from kndb.edit.activations import answer_activations, batches
from kndb.edit.weight_rows import check_neurons, typical_length
from kndb.models import LanguageModel, Target
from kndb.neurons import Neuron

KEEP = 1000.0
"""How much writing elsewhere counts against the size of the change. With all neurons of a layer
much is gained by a large one (facts of the same relation that keep their answer, of the causal demo
model: 50 % at 10, 81 % at 100, 100 % at 1000); with a fact's own neurons it makes no difference."""

LOG_ODDS = 3.0
"""What a fit aims at: p = 0.95. Then 88 to 100 % of held-out paraphrases follow on the demo models;
at an aim of 1 it is 75 to 88 %, at even odds 50 to 75 %."""

ENOUGH = 0.1
"""Log-odds may miss the aim by this much, and the size its minimum by this share."""

ROUNDS = 15
"""Linearisations at most."""

FURTHEST = 10.0
"""A step changes no row by more than this many typical rows. Where neurons hardly fire, or hardly
move the answer, linearised log-odds promise what only weights beyond any number format would
give."""

Blocks = dict[int, Tensor]
"""By layer, ``(..., neurons of the layer, width)``: a change, or gradients of log-odds."""


@dataclass(frozen=True)
class Fit:
    """A change that was fitted.

    Attributes:
        change: ``(neurons, width)``, what to add to the neurons' rows.
        log_odds: ``(tokens,)``, of each wanted token with the change.
        rounds: linearisations.
    """

    change: Tensor
    log_odds: Tensor
    rounds: int

    @property
    def reached(self) -> bool:
        """Whether every wanted token is the first choice."""
        return bool((self.log_odds >= 0).all())


def fit(
    model: LanguageModel[Any],
    neurons: Sequence[Neuron],
    wanted: Sequence[Target],
    kept: Mapping[int, Tensor],
    keep: float = KEEP,
    log_odds: float = LOG_ODDS,
) -> Fit:
    """Find the smallest change of the neurons' rows that makes ``wanted`` the first choices.

    Args:
        model: the model; it is left as it is.
        neurons: whose rows may change.
        wanted: prompts with the tokens they are to be answered by.
        kept: for each layer the activations ``(tokens, n_neurons)`` where its output is to stay;
            see :func:`kndb.edit.activations.token_activations`. Empty: none.
        keep: how much that counts.
        log_odds: what to aim at for each wanted token.

    Returns:
        The smallest change found; where none reaches the aim, the one that comes closest.

    Raises:
        UsageError: the model has no such neuron.
    """
    check_neurons(model, neurons)
    problem = _Problem(model, neurons, wanted, kept, keep)
    best = goal = current = problem.no_change()
    best_odds, reached = torch.full((len(wanted),), -torch.inf), False
    longest, rounds = FURTHEST, 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        odds, gradients = problem.linearise(current)
        reaches = bool(odds.min() >= log_odds - ENOUGH)
        if reaches or (not reached and odds.min() > best_odds.min()):
            best, best_odds, reached = current, odds, reaches
            longest = min(2 * longest, FURTHEST)
            goal = problem.goal(best, log_odds - odds, gradients, reached)
        else:  # the step was too long
            longest = _distance(current, best) / 2
        current = _step(best, goal, longest)
        enough = ENOUGH * _distance(best, problem.no_change())
        if reached and _distance(current, best) <= enough:
            break
    return Fit(problem.rows(best), best_odds, rounds)


def _step(start: Blocks, goal: Blocks, longest: float) -> Blocks:
    """From ``start`` towards ``goal``, but no further than ``longest``."""
    share = min(1.0, longest / max(_distance(goal, start), 1e-30))
    return {layer: start[layer] + share * (goal[layer] - start[layer]) for layer in start}


def _distance(a: Blocks, b: Blocks) -> float:
    return sqrt(sum(float((a[layer] - b[layer]).square().sum()) for layer in a))


class _Problem:
    """One fit: its neurons by layer, and the metric in which a change is small."""

    def __init__(
        self,
        model: LanguageModel[Any],
        neurons: Sequence[Neuron],
        wanted: Sequence[Target],
        kept: Mapping[int, Tensor],
        keep: float,
    ) -> None:
        self.model = model
        self.neurons = neurons
        self.wanted = wanted
        self.indices: dict[int, list[int]] = {}
        for neuron in neurons:
            self.indices.setdefault(neuron.layer, []).append(neuron.index)
        self.lengths = {layer: typical_length(model, layer) for layer in self.indices}
        self.metric = self._metric(kept, keep)

    def _metric(self, kept: Mapping[int, Tensor], keep: float) -> Blocks:
        """Cholesky factors of ``1 + keep A'A / (tokens |a_own|^2)`` for each layer."""
        factors = {}
        for layer, indices in self.indices.items():
            metric = torch.eye(len(indices), dtype=torch.double)
            if layer in kept:
                own = [Neuron(layer, index) for index in indices]
                size = answer_activations(self.model, self.wanted, own).square().sum(1).mean()
                a = kept[layer][:, indices].double()
                metric += keep * a.T @ a / (len(a) * size.double().clamp_min(1e-12))
            factors[layer] = torch.linalg.cholesky(metric)
        return factors

    def no_change(self) -> Blocks:
        width = self.model.width
        return {x: torch.zeros(len(i), width) for x, i in self.indices.items()}

    def rows(self, change: Blocks) -> Tensor:
        """A change in row lengths as ``(neurons, width)`` in the order of the neurons."""
        left = {layer: iter(change[layer] * self.lengths[layer]) for layer in change}
        rows = [next(left[neuron.layer]) for neuron in self.neurons]
        return torch.stack(rows) if rows else torch.empty(0, self.model.width)

    def linearise(self, change: Blocks) -> tuple[Tensor, Blocks]:
        """The wanted tokens' log-odds with a change, ``(tokens,)``, and their gradients in it.

        Gradients are ``(tokens, neurons of the layer, width)`` for each layer.
        """
        odds = torch.empty(len(self.wanted))
        gradients = {
            layer: torch.empty(len(self.wanted), *block.shape) for layer, block in change.items()
        }
        for batch in batches(self.wanted):
            targets = [self.wanted[i] for i in batch]
            with self._changed(change) as added:
                found = log_odds_of(self.model, targets)
                outputs = [added[layer][1] for layer in self.indices]
                slopes = torch.autograd.grad(found.sum(), outputs)
            odds[batch] = found.detach().cpu()
            for layer, slope in zip(self.indices, slopes, strict=True):
                a, slope = (
                    part.view(len(batch), -1, part.shape[-1])
                    for part in (added[layer][0].detach().to(slope.dtype), slope)
                )
                of_rows = torch.einsum("ptn,ptw->pnw", a, slope).float().cpu()
                gradients[layer][batch] = of_rows * self.lengths[layer]
        return odds, gradients

    @contextmanager
    def _changed(self, change: Blocks) -> Iterator[dict[int, tuple[Tensor, Tensor]]]:
        """The model with a change; by layer, the neurons' activations and what the change adds."""
        seen: dict[int, tuple[Tensor, Tensor]] = {}

        def hook(layer: int, rows: Tensor) -> Any:
            def add(module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
                a = args[0][..., self.indices[layer]]
                added = a @ rows
                if not added.requires_grad:  # nothing below it is changed
                    added.requires_grad_()
                seen[layer] = a, added
                return output + added

            return add

        with ExitStack() as stack:
            for layer, block in change.items():
                rows = (block * self.lengths[layer]).to(self.model.device, self.model.dtype)
                handle = self.model.down[layer].register_forward_hook(hook(layer, rows))
                stack.callback(handle.remove)
            yield seen

    def goal(self, at: Blocks, missing: Tensor, gradients: Blocks, reached: bool) -> Blocks:
        """Where to go from a change, by the log-odds linearised there.

        Once the aim is reached: to the smallest change that reaches it. Before that: by the
        smallest step that does, for far from it the linearised log-odds are no guide to the size.

        Args:
            at: where the log-odds were linearised.
            missing: ``(tokens,)``, how much they fall short of the aim there.
            gradients: as :meth:`linearise` returns them.
            reached: whether none falls short.
        """
        if not reached:
            step = self._smallest(missing.double(), gradients)
            return {layer: at[layer] + step[layer] for layer in at}
        held = [gradients[x].double().flatten(1) @ at[x].double().flatten() for x in at]
        return self._smallest(missing.double() + torch.stack(held).sum(0), gradients)

    def _smallest(self, bounds: Tensor, gradients: Blocks) -> Blocks:
        """The smallest blocks whose products with the gradients are at least ``bounds``."""
        solved = {layer: self._solve(layer, g.double()) for layer, g in gradients.items()}
        products = [gradients[x].double().flatten(1) @ solved[x].flatten(1).T for x in solved]
        weights = nonnegative(torch.stack(products).sum(0), bounds)
        return {x: torch.einsum("p,pnw->nw", weights, s).float() for x, s in solved.items()}

    def _solve(self, layer: int, gradients: Tensor) -> Tensor:
        """The metric's inverse times gradients ``(tokens, neurons, width)``."""
        return torch.cholesky_solve(gradients, self.metric[layer])


def log_odds_of(model: LanguageModel[Any], targets: Sequence[Target]) -> Tensor:
    """``ln p/(1-p)`` of tokens in sequences of equal length, ``(tokens,)``, differentiable."""
    tokens = torch.tensor([target.tokens for target in targets], device=model.device)
    rows = torch.arange(len(targets), device=model.device)
    at = torch.tensor([target.position for target in targets], device=model.device)
    answers = torch.tensor([target.answer for target in targets], device=model.device)
    logits = model.logits(model.last_hidden(tokens, rows, at))
    others = logits.clone()
    others[rows, answers] = -torch.inf
    return logits[rows, answers] - others.logsumexp(1)


def nonnegative(gram: Tensor, bounds: Tensor, sweeps: int = 1000) -> Tensor:
    """The ``x >= 0`` that minimises ``x'Gx/2 - b'x``, by coordinate descent.

    It is the dual of the smallest vector with inner products of at least ``b``.

    >>> nonnegative(torch.eye(2).double(), torch.tensor([1.0, -1.0]).double())
    tensor([1., 0.], dtype=torch.float64)

    Args:
        gram: ``(n, n)``, symmetric and positive semidefinite, float64.
        bounds: ``(n,)``.
        sweeps: at most this many.
    """
    x = torch.zeros_like(bounds)
    curvature = gram.diagonal()
    for _ in range(sweeps):
        before = x.clone()
        for i in (curvature > 1e-12 * curvature.max()).nonzero()[:, 0].tolist():
            x[i] = max(0.0, float(x[i] + (bounds[i] - gram[i] @ x) / curvature[i]))
        if (x - before).abs().max() <= 1e-9 * x.abs().max():
            break
    return x
