"""The answer's probability with sets of neurons scaled: many sets, few runs of the model.

The neurons of a set are set to 0, or multiplied by another factor, at the answer position. Below
its highest layer, the run of a set is the same as that of the set without that layer's neurons, so
it branches off there: all pairs of twenty neurons branch off from twenty runs, instead of 190 runs
from the start. Takes no gradients; uses no facts and no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from kndb.errors import UsageError
from kndb.models import LanguageModel, Target
from kndb.models.asking import read_tokens
from kndb.models.base import Rows
from kndb.models.finite import first_layer, overflown
from kndb.models.memory import Budget, default_budget
from kndb.neurons import Neuron

Silent = tuple[Neuron, ...]
"""Neurons that are set to 0, or scaled, together; in ascending order."""

Suppressed = tuple[int, Silent]
"""The number of a target, and the neurons suppressed in it."""


@dataclass(frozen=True)
class Branch:
    """Rows that branch off at one layer.

    Rows are numbered as they branch off, layer by layer. A parent is an observed prompt or a row of
    a lower layer.

    Attributes:
        sources: numbers of the rows that are parents here.
        parents: for each new row, its parent: a prompt, or the number of prompts plus the index
            of a row in ``sources``.
        rows: for each neuron to suppress, the index of its row among the new ones.
        neurons: for each neuron to suppress, its index in the layer.
    """

    sources: list[int]
    parents: list[int]
    rows: list[int]
    neurons: list[int]


def branches(
    asked: Iterable[Suppressed], n_layers: int, n_targets: int
) -> tuple[list[Branch], list[Suppressed]]:
    """Plan where rows branch off so that every requested set has a row.

    >>> a, b = Neuron(0, 5), Neuron(2, 7)
    >>> plan, rows = branches([(0, (a, b))], 3, 1)
    >>> rows
    [(0, (Neuron(layer=0, index=5),)), (0, (Neuron(layer=0, index=5), Neuron(layer=2, index=7)))]
    >>> plan[2]
    Branch(sources=[0], parents=[1], rows=[0], neurons=[7])

    Returns:
        The rows that branch off at each layer, and the neurons suppressed in each row, in order.
    """
    born: list[dict[Suppressed, None]] = [{} for _ in range(n_layers)]
    for target, silent in asked:
        while silent and (target, silent) not in born[silent[-1].layer]:
            born[silent[-1].layer][target, silent] = None
            silent = _below(silent)
    rows = [row for layer in born for row in layer]
    numbers = {row: number for number, row in enumerate(rows)}
    return [_branch(list(new), numbers, n_targets) for new in born], rows


def _below(silent: Silent) -> Silent:
    """The neurons below the highest layer of the set."""
    return tuple(neuron for neuron in silent if neuron.layer < silent[-1].layer)


def _branch(new: list[Suppressed], numbers: dict[Suppressed, int], n_targets: int) -> Branch:
    parents = [(target, _below(silent)) for target, silent in new]
    sources = sorted({numbers[parent] for parent in parents if parent[1]})
    places = {source: n_targets + place for place, source in enumerate(sources)}
    silenced = [
        (place, neuron.index)
        for place, (_, silent) in enumerate(new)
        for neuron in silent
        if neuron.layer == silent[-1].layer
    ]
    return Branch(
        sources,
        [places[numbers[parent]] if parent[1] else parent[0] for parent in parents],
        [place for place, _ in silenced],
        [index for _, index in silenced],
    )


class Suppressor:
    """Targets of equal length, observed once and then rerun with neurons scaled.

    Attributes:
        observed_p: ``(targets,)``, the answers' probabilities with every neuron as it is.
    """

    def __init__(
        self, model: LanguageModel[Any], targets: Sequence[Target], memory: int | None = None
    ) -> None:
        self.model = model
        self.budget = Budget(memory or default_budget(model.device))
        self.answers = self._tensor([target.answer for target in targets])
        tokens = self._tensor([target.tokens for target in targets])
        positions = self._tensor([target.position for target in targets])
        self.observed, self.neurons = model.observe(tokens, positions, len(targets))
        readings = read_tokens(self.observed.logits, self.answers)
        self.observed_p = torch.tensor([one.p for one in readings], device=model.device)
        self.row_bytes = model.row_bytes(tokens.shape[1])[0]

    def _tensor(self, values: Sequence[Any]) -> Tensor:
        return torch.tensor(values, device=self.model.device, dtype=torch.long)

    def failures(self) -> dict[int, str | None]:
        """Targets whose probability is not finite, and the first layer that is to blame."""
        wrong = overflown(self.neurons)
        return {
            number: first_layer("activations", wrong[number])
            for number, p in enumerate(self.observed_p.tolist())
            if not isfinite(p)
        }

    @torch.no_grad()
    def probabilities(self, sets: Sequence[Silent], factor: float = 0.0) -> Tensor:
        """The answers' probabilities with each set suppressed, ``(targets, sets)``, float32.

        Args:
            sets: each has at least one neuron, in ascending order.
            factor: what their activations are multiplied by: 0 suppresses, 2 enhances.

        Raises:
            UsageError: the model has no such neuron, or a set is empty.
            ModelError: a single set does not fit in memory.
        """
        _check(self.model, sets)
        every = [(target, silent) for target in range(len(self.answers)) for silent in sets]
        if not every:
            return self.observed_p.new_zeros(len(self.answers), len(sets))
        order = sorted(range(len(every)), key=every.__getitem__)  # so that neighbours share parents
        asked = [every[i] for i in order]

        def run(part: slice) -> Tensor:
            answers = self.answers[self._tensor([target for target, _ in asked[part]])]
            return self.model.read(self._run(asked[part], factor), answers)

        p = torch.empty(len(every), device=self.model.device)
        costs = [self.row_bytes] * len(every)
        p[self._tensor(order)] = torch.cat(list(self.budget.run(costs, run)))
        return p.view(len(self.answers), len(sets))

    def _run(self, asked: list[Suppressed], factor: float) -> Tensor:
        """Each requested row's output of the last layer, ``(asked, width)``."""
        plan, rows = branches(asked, self.model.info.n_layers, len(self.answers))
        prompts = self._tensor([target for target, _ in rows])
        hidden: Tensor | None = None
        for layer, branch in enumerate(plan):
            known = self.model.observed_rows(self.observed, layer, self.neurons[layer])
            if hidden is not None:
                hidden, found = self.model.step(
                    self.observed,
                    layer,
                    hidden,
                    prompts[: len(hidden)],
                    self._tensor(branch.sources),
                )
                known = _join(known, found)
            if branch.parents:
                new = prompts[0 if hidden is None else len(hidden) :]
                born = self._branch_off(layer, branch, known, new, factor)
                hidden = born if hidden is None else torch.cat([hidden, born])
        assert hidden is not None
        numbers = {row: number for number, row in enumerate(rows)}
        return hidden[self._tensor([numbers[row] for row in asked])]

    def _branch_off(
        self, layer: int, branch: Branch, known: Rows, prompts: Tensor, factor: float
    ) -> Tensor:
        """Output of new rows in the layer where they branch off; ``prompts`` begins with theirs."""
        parents = self._tensor(branch.parents)
        neurons = known.neurons[parents]
        neurons[self._tensor(branch.rows), self._tensor(branch.neurons)] *= factor
        positions = self.observed.positions[prompts[: len(parents)]]
        rows = Rows(known.hidden[parents], known.before[parents], neurons)
        return self.model.rejoin(layer, rows, positions)


def _join(first: Rows, second: Rows) -> Rows:
    return Rows(
        torch.cat([first.hidden, second.hidden]),
        torch.cat([first.before, second.before]),
        torch.cat([first.neurons, second.neurons]),
    )


def _check(model: LanguageModel[Any], sets: Iterable[Silent]) -> None:
    info = model.info
    for neuron in {neuron for silent in sets for neuron in silent}:
        if not (0 <= neuron.layer < info.n_layers and 0 <= neuron.index < info.n_neurons):
            raise UsageError(
                f"The model {info.name} has no neuron {neuron}: it has {info.n_layers} layers of "
                f"{info.n_neurons} neurons, counted from 0."
            )
    if not all(sets):
        raise UsageError("A set to suppress has no neurons; give at least one.")


class Questions:
    """Prompts, each with one target per answer token, rerun together with neurons scaled.

    A prompt's probability is the mean over its answer's tokens; each is read at its own position,
    where the neurons are scaled.

    Attributes:
        observed_p: ``(prompts,)`` float64.
    """

    def __init__(
        self,
        model: LanguageModel[Any],
        prompts: Sequence[Sequence[Target]],
        memory: int | None = None,
    ) -> None:
        self.counts = torch.tensor([len(targets) for targets in prompts], dtype=torch.double)
        every = [(i, target) for i, targets in enumerate(prompts) for target in targets]
        every.sort(key=lambda item: len(item[1].tokens))
        self.parts = [
            ([i for i, _ in alike], Suppressor(model, [target for _, target in alike], memory))
            for alike in (
                list(group) for _, group in groupby(every, key=lambda item: len(item[1].tokens))
            )
        ]
        self.observed_p: Tensor = self._mean([part.observed_p[:, None] for _, part in self.parts])[
            :, 0
        ]

    def failures(self) -> dict[int, str | None]:
        """Prompts whose probability is not finite, and the first layer that is to blame."""
        return {
            owners[number]: layer
            for owners, part in self.parts
            for number, layer in part.failures().items()
        }

    def probabilities(self, sets: Sequence[Silent], factor: float = 0.0) -> Tensor:
        """The answers' probabilities with each set suppressed, ``(prompts, sets)``, float64.

        Args:
            sets: as in :meth:`Suppressor.probabilities`.
            factor: as in :meth:`Suppressor.probabilities`.

        Raises:
            UsageError: the model has no such neuron, or a set is empty.
            ModelError: a single set does not fit in memory.
        """
        return self._mean([part.probabilities(sets, factor) for _, part in self.parts])

    def _mean(self, parts: Sequence[Tensor]) -> Tensor:
        """Each prompt's mean over its answer's tokens, from each part's ``(targets, columns)``."""
        total = torch.zeros(len(self.counts), parts[0].shape[1], dtype=torch.double)
        for (owners, _), p in zip(self.parts, parts, strict=True):
            total.index_add_(0, torch.tensor(owners), p.double().cpu())
        return total / self.counts[:, None]
