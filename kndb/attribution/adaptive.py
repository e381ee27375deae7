"""Integrated gradients refined, path by path, until the scores are exact to a stated tolerance.

A path is cut into *panels*. The gradient at a path's end is known in advance, since all paths of a
layer share it; at its start F is needed anyway, and its gradient costs one more pass. So the rules
have nodes at both ends (:func:`kndb.attribution.quadrature.nested_lobatto`): first no others; then
the middle, too; then two more; then four panels, cut at the nodes, where gradients are known. All
nodes of a round are run together, for all paths.

F is known at every node, so each panel has a completeness residual of its own, and only panels that
miss the tolerance are refined. The error of a panel's scores is estimated as the difference between
its better and its worse rule, times the factor by which the residuals fell from the worse to the
better, over the panel and up to its inner nodes: as L2 over neurons, and as the largest of any
neuron. Estimates are added within a layer, whose paths share their neurons; L2 errors of layers are
orthogonal. The first is relative to the L2 norm of a target's scores, the second to its top score,
and both are held to the tolerance: a prompt whose scores spread over many neurons can be within it
as a vector, and not at the top.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from kndb.attribution.integrated_gradients import Integrals, residual_scale
from kndb.attribution.paths import Follower
from kndb.attribution.quadrature import nested_lobatto
from kndb.attribution.settings import Settings

LEAST_TOP = 0.05
"""A top score counts as at least this share of the scores' L2 norm. Otherwise, nearly all of them
being negative and the top tiny, they would be refined without end."""


MOST_ROUNDING = 256
"""The rounding error of F is below this many units of the number type, relative to F. Residuals of
SmolLM2 in bfloat16 stay at up to 80, with any number of nodes."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One of the nested rules on a panel's nodes.

    Attributes:
        nodes: which of the five nodes it has.
        integrals: ``(5, 5)``, see :func:`kndb.attribution.quadrature.nested_lobatto`.
        least_gain: a residual can be small by chance: the rule never counts as better than the one
            before it by more than this factor.
    """

    nodes: list[int]
    integrals: Tensor
    least_gain: float = 1.0

    @property
    def weights(self) -> list[float]:
        """``(5,)``, of the gradients at the nodes."""
        weights: list[float] = self.integrals[-1].tolist()
        return weights


_ALPHAS, _INTEGRALS = nested_lobatto()
ALPHAS = torch.from_numpy(_ALPHAS).float()
_ONE, _TWO, _THREE, _FIVE = (torch.from_numpy(matrix).float() for matrix in _INTEGRALS)
RULES = [
    Rule([4], _ONE),
    Rule([0, 4], _TWO, least_gain=0.3),
    Rule([0, 2, 4], _THREE, least_gain=0.05),
    Rule([0, 1, 2, 3, 4], _FIVE, least_gain=0.1),
]
"""The first is there to be compared with. Gains were fitted to whole paths of SmolLM2 and Gemma 3
270M (``benchmarks/RESULTS.md``)."""

INNER_GAIN = 15.0
"""How much larger than the square of the residuals' gain at inner nodes the error's may be. With a
step of h, the error of three nodes is h² times that of two, and their residual at the middle is h
times; of five against three nodes it is h⁴ and h². Fitted likewise."""

LAST = len(RULES) - 1
NEW_NODES = torch.tensor(
    [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool
)
"""Which nodes a panel with each rule gets next. One with the last rule is cut instead."""

COSTS = torch.tensor([0, 1, 2, 4])
"""How many nodes that takes; the parts of a panel that is cut will want their middles."""


class Sizes(NamedTuple):
    """What errors are relative to.

    Attributes:
        norms: ``(targets,)``, L2 norms of the scores.
        tops: ``(targets,)``, top scores.
    """

    norms: Tensor
    tops: Tensor


@dataclass(frozen=True)
class Panels:
    """Parts of paths.

    Attributes:
        path: ``(panels,)``.
        low: ``(panels,)`` alpha.
        high: ``(panels,)`` alpha.
        nodes: ``(panels, 5)``, the nodes' numbers in ascending order of alpha, the first at
            ``low`` and the last at ``high``; -1 for those that a panel lacks.
        residual: ``(panels,)``, sum of attributions minus change in F.
        error: ``(panels,)``, estimated L2 error of the scores.
        largest: ``(panels,)``, estimated largest error of a score.
    """

    path: Tensor
    low: Tensor
    high: Tensor
    nodes: Tensor
    residual: Tensor
    error: Tensor
    largest: Tensor

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, chosen: Tensor) -> Panels:
        return Panels(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def rule(self) -> Tensor:
        """The number of each panel's rule in :data:`RULES`, ``(panels,)``."""
        return 1 + (self.nodes[:, [1, 2]] >= 0).sum(1)

    @property
    def alphas(self) -> Tensor:
        """Where the rules' nodes are on each panel, ``(panels, 5)``, ascending."""
        return torch.lerp(self.low[:, None], self.high[:, None], ALPHAS.to(self.low.device))

    @classmethod
    def join(cls, *parts: Panels) -> Panels:
        """Concatenate panels."""
        return cls(*(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(cls)))


def integrate_adaptive(follower: Follower, observed_p: Tensor, settings: Settings) -> Integrals:
    """Integrate the gradient along every path until residuals and errors are within the tolerance.

    Refinement of a path stops early once it has used up ``settings.max_nodes``.

    Args:
        follower: follows all paths.
        observed_p: ``(targets,)``, F at the end of the paths.
        settings: supplies the tolerance and the maximum number of nodes per path.
    """
    work = _Refinement(follower, observed_p, settings)
    panels = work.first()
    sizes = work.sizes(panels)
    while True:
        chosen = work.to_refine(panels, sizes)
        if not len(chosen):
            sizes = work.sizes(panels)  # refinement changed them
            chosen = work.to_refine(panels, sizes)
        if not len(chosen):
            break
        rest = torch.ones(len(panels), dtype=torch.bool, device=chosen.device)
        rest[chosen] = False
        panels = Panels.join(panels[rest], work.refine(panels[chosen]))
    residual = torch.zeros_like(work.scale).index_add_(0, panels.path, panels.residual)
    return Integrals(work.totals(panels), residual.abs() / work.scale, work.error(panels, sizes))


class _Refinement:
    """Refines panels; keeps F and its slope at every node.

    Attributes:
        scale: ``(paths,)``, what residuals are relative to.
        noise: ``(paths,)``, the rounding error of F, as far as it is known.
        most_noise: ``(paths,)``, the largest that it can be.
        f: ``(nodes,)``, F; the first nodes are the paths' ends.
        slopes: ``(nodes, size)``, gradients of F in the path's space.
        used: ``(paths,)``, the number of nodes run on each path.
    """

    def __init__(self, follower: Follower, observed_p: Tensor, settings: Settings) -> None:
        assert settings.tolerance is not None
        paths = follower.paths
        self.follower, self.paths = follower, paths
        self.tolerance, self.max_nodes = settings.tolerance, settings.max_nodes
        self.spans = paths.ends.float()[paths.end_rows] - paths.starts.float()
        self.rounding = 4 * torch.finfo(paths.ends.dtype).eps
        p = observed_p[paths.targets]
        self.noise = self.rounding * p
        self.most_noise = MOST_ROUNDING * torch.finfo(paths.ends.dtype).eps * p
        self.f = observed_p.repeat(len(paths.neurons))
        self.slopes = follower.end_slopes()
        self.used = torch.zeros_like(paths.targets)
        every = torch.arange(len(paths), device=p.device)
        self.starts = self._run(every, torch.zeros_like(p))
        self.scale = residual_scale(p - self.f[self.starts], p)

    def first(self) -> Panels:
        """Every path as one panel without inner nodes."""
        path = torch.arange(len(self.paths), device=self.f.device)
        low = torch.zeros_like(self.noise)
        nodes = torch.full((len(path), 5), -1, device=path.device)
        nodes[:, 0], nodes[:, -1] = self.starts, self.paths.end_rows
        return self._compared(path, low, torch.ones_like(low), nodes)

    def refine(self, panels: Panels) -> Panels:
        """Give panels the next rule's nodes; cut those with the last rule into four."""
        cut, grow = panels[panels.rule == LAST], panels[panels.rule < LAST]
        nodes, alphas = grow.nodes.clone(), grow.alphas
        added = NEW_NODES.to(nodes.device)[grow.rule]
        nodes[added] = self._run(grow.path[added.nonzero()[:, 0]], alphas[added])
        grown = self._compared(grow.path, grow.low, grow.high, nodes)
        self._notice_noise(grow, grown)
        return Panels.join(grown, self._quarters(cut))

    def _quarters(self, panels: Panels) -> Panels:
        """The parts between a panel's five nodes, as panels without inner nodes."""
        alphas = panels.alphas
        nodes = torch.full((4 * len(panels), 5), -1, device=alphas.device)
        nodes[:, 0], nodes[:, -1] = panels.nodes[:, :-1].flatten(), panels.nodes[:, 1:].flatten()
        path = panels.path.repeat_interleave(4)
        return self._compared(path, alphas[:, :-1].flatten(), alphas[:, 1:].flatten(), nodes)

    def _notice_noise(self, before: Panels, after: Panels) -> None:
        """What more nodes did not lower is rounding of F, where it can be.

        Logits are rounded relative to their size, and with bfloat16 that can move a probability by
        half: no number of nodes makes such a path complete.
        """
        old, new = (
            torch.zeros_like(self.noise).index_add_(0, panels.path, panels.residual.abs())
            for panels in (before, after)
        )
        stays = (new > old / 2) & (new < self.most_noise)
        self.noise = torch.where(stays, torch.maximum(self.noise, new), self.noise)

    def _run(self, path: Tensor, alphas: Tensor) -> Tensor:
        """Run the model at new nodes and return their numbers."""
        order = path.argsort(stable=True)
        f, slopes = self.follower.slopes(path[order], alphas[order])
        numbers = torch.empty_like(path)
        numbers[order] = torch.arange(len(self.f), len(self.f) + len(f), device=path.device)
        self.f, self.slopes = torch.cat([self.f, f]), torch.cat([self.slopes, slopes])
        self.used += torch.bincount(path, minlength=len(self.used))
        return numbers

    def _compared(self, path: Tensor, low: Tensor, high: Tensor, nodes: Tensor) -> Panels:
        """Panels with these nodes, with their residuals and errors."""
        panels = Panels(path, low, high, nodes, *[torch.zeros_like(low)] * 3)
        return Panels.join(
            *(self._judged(panels[panels.rule == number], number) for number in range(1, LAST + 1))
        )

    def _judged(self, panels: Panels, number: int) -> Panels:
        """The panels of one rule with their residuals and errors."""
        better, worse = RULES[number], RULES[number - 1]
        panels = panels[panels.path.argsort(stable=True)]
        misses, lower = self._misses(panels, better, worse)
        certain = (misses.abs() - self.noise[panels.path, None]).clamp(min=0)
        gain = _gain(certain, lower.abs(), better)
        high, low = self._integral(panels, better), self._integral(panels, worse)
        # Both in one product, so a layer's weights are read only once.
        both = torch.stack([high - low, high], 1).flatten(0, 1)
        sizes = self.paths.sizes(panels.path.repeat_interleave(2), both)
        # A difference within the gradient's own rounding error is meaningless.
        error, largest = (
            (size[::2] * gain - self.rounding * size[1::2]).clamp(min=0) for size in sizes
        )
        return replace(panels, residual=misses[:, -1], error=error, largest=largest)

    def _misses(self, panels: Panels, better: Rule, worse: Rule) -> tuple[Tensor, Tensor]:
        """Residuals of two rules from the panel's lower end to each node, ``(panels, 5)`` each.

        They mean nothing at nodes that a panel lacks. The better rule has the worse one's nodes.
        """
        span, width = self.spans[panels.path], panels.high - panels.low
        rates = torch.zeros(len(panels), 5, device=span.device)
        for k in better.nodes:
            rates[:, k] = (self.slopes[panels.nodes[:, k]] * span).sum(1)
        values = self.f[panels.nodes]
        change = values - values[:, :1]
        found, lower = (
            rates @ rule.integrals.to(rates.device).T * width[:, None] - change
            for rule in (better, worse)
        )
        return found, lower

    def _integral(self, panels: Panels, rule: Rule) -> Tensor:
        """Integrals of the gradient over the panels under one rule, ``(panels, size)``."""
        total = torch.zeros(len(panels), self.slopes.shape[1], device=self.slopes.device)
        for node in rule.nodes:
            total += rule.weights[node] * self.slopes[panels.nodes[:, node]]
        return total * (panels.high - panels.low)[:, None]

    def totals(self, panels: Panels) -> Tensor:
        """Integrals of the gradient over the paths, ``(paths, size)``."""
        total = torch.zeros_like(self.spans)
        for number, rule in enumerate(RULES):
            part = panels[panels.rule == number]
            if len(part):
                total.index_add_(0, part.path, self._integral(part, rule))
        return total

    def sizes(self, panels: Panels) -> Sizes:
        """What the errors of these panels are relative to."""
        scores: Tensor = self.paths.summed_scores(self.totals(panels))
        norms: Tensor = torch.linalg.vector_norm(scores, dim=(1, 2))
        norms = norms.clamp(min=torch.finfo(norms.dtype).tiny)
        return Sizes(norms, torch.maximum(scores.amax((1, 2)), LEAST_TOP * norms))

    def error(self, panels: Panels, sizes: Sizes) -> Tensor:
        """The larger of the two estimated errors of a target's scores, relative, ``(targets,)``."""
        error = self._by_layer(panels, panels.error).norm(dim=0) / sizes.norms
        return torch.maximum(error, self._by_layer(panels, panels.largest).amax(0) / sizes.tops)

    def _by_layer(self, panels: Panels, errors: Tensor) -> Tensor:
        """Errors of panels, added up for each layer, ``(layers, targets)``."""
        rows = self.paths.end_rows[panels.path]
        total = torch.zeros(len(self.paths.ends), device=rows.device).index_add_(0, rows, errors)
        return total.view(-1, len(self.paths.answers))

    def to_refine(self, panels: Panels, sizes: Sizes) -> Tensor:
        """Numbers of the panels that keep their path or target from being exact.

        Of a path that lacks nodes for all of its own, the worst are chosen.
        """
        chosen = self._incomplete(panels) | self._inexact(panels, sizes.norms)
        chosen |= self._wrong_at_the_top(panels, sizes.tops)
        numbers = chosen.nonzero()[:, 0]
        numbers = numbers[panels.largest[numbers].argsort(descending=True, stable=True)]
        numbers = numbers[panels.path[numbers].argsort(stable=True)]  # by path, the worst first
        path, cost = panels.path[numbers], COSTS.to(panels.path.device)[panels.rule[numbers]]
        every = torch.zeros_like(self.used).index_add_(0, path, cost)
        before = (every.cumsum(0) - every)[path]  # of the paths before it
        spent = cost.cumsum(0) - before
        return numbers[self.used[path] + spent <= self.max_nodes]

    def _incomplete(self, panels: Panels) -> Tensor:
        """The larger residuals of paths whose residuals add up to more than the tolerance."""
        limit = torch.maximum(self.tolerance * self.scale, self.noise)
        size = panels.residual.abs()
        return _larger_parts(size, panels.path, limit) & (size > self.noise[panels.path])

    def _wrong_at_the_top(self, panels: Panels, tops: Tensor) -> Tensor:
        """The larger errors of layers whose largest errors add up to more than the tolerance."""
        limit = (self.tolerance * tops).repeat(len(self.paths.neurons))
        return _larger_parts(panels.largest, self.paths.end_rows[panels.path], limit)

    def _inexact(self, panels: Panels, norms: Tensor) -> Tensor:
        """The largest errors of targets whose scores miss the tolerance.

        A panel's share of its target's squared error is its own error times its layer's. The
        shares left out add up to at most half of what is allowed.
        """
        targets = self.paths.targets[panels.path]
        by_layer = self._by_layer(panels, panels.error)
        shares = panels.error * by_layer.flatten()[self.paths.end_rows[panels.path]]
        allowed = (self.tolerance * norms).square()
        chosen = torch.zeros_like(panels.path, dtype=torch.bool)
        for target in (by_layer.square().sum(0) > allowed).nonzero()[:, 0]:
            own = (targets == target).nonzero()[:, 0]
            order = shares[own].argsort()
            kept = shares[own][order].cumsum(0) <= allowed[target] / 2
            chosen[own[order[~kept]]] = True
        return chosen & (panels.error > 0)


def _gain(misses: Tensor, lower: Tensor, better: Rule) -> Tensor:
    """How much smaller the better rule's error is than the worse one's, ``(panels,)``, at most 1.

    Args:
        misses: ``(panels, 5)``, absolute residuals of the better rule at the nodes.
        lower: the same of the worse rule.
        better: supplies the nodes and the limits.
    """
    ends = misses[:, -1] / lower[:, -1].clamp(min=1e-30)
    gain = ends.clamp(min=better.least_gain)
    if inside := better.nodes[1:-1]:
        inner = misses[:, inside].amax(1) / lower[:, inside].amax(1).clamp(min=1e-30)
        gain = torch.maximum(gain, INNER_GAIN * inner.square())
    return gain.clamp(max=1)


def _larger_parts(sizes: Tensor, groups: Tensor, limits: Tensor) -> Tensor:
    """Which parts to make smaller, ``(parts,)``, where a group's parts exceed its limit together.

    What is not chosen adds up to at most half of the limit.

    Args:
        sizes: ``(parts,)``.
        groups: ``(parts,)``, the number of each one's group.
        limits: ``(groups,)``.
    """
    count = torch.bincount(groups, minlength=len(limits))
    total = torch.zeros_like(limits).index_add_(0, groups, sizes)
    return (total > limits)[groups] & (sizes > (limits / (2 * count))[groups])
