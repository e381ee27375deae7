"""Searches a fact's neurons for degenerate sets on a model, and tries a random control.

It measures the drops that ``kndb.degenerate.criterion`` asks for. It knows neither facts nor the
database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from kndb.attribution.suppression import Questions, Silent
from kndb.degenerate.criterion import Criterion, Drop, Group, Search, proper_subsets, search
from kndb.errors import NotFinite
from kndb.neurons import Neuron


def mean_drops(before: Tensor, after: Tensor, kind: Drop) -> Tensor:
    """The mean drop of each set, ``(sets,)``.

    Args:
        before: ``(prompts,)``, F; prompts in which it is 0 are ignored.
        after: ``(prompts, sets)``, F with each set suppressed.
        kind: whether drops are relative to F or absolute.
    """
    counted = before > 0
    lost = before[counted, None] - after[counted]
    return (lost / before[counted, None] if kind == "relative" else lost).mean(0)


@dataclass(frozen=True)
class SetDrop:
    """The effect of suppressing a set of neurons, and each of its subsets.

    Attributes:
        kind: ``degenerate`` for the given neurons, ``control`` for random ones.
        neurons: the set, ascending.
        drop: d(S), relative or absolute.
        p_after: F with the set suppressed, mean over all prompts.
        is_degenerate: whether the set meets the criterion.
        subsets: every proper non-empty subset and its drop.
    """

    kind: Literal["degenerate", "control"]
    neurons: Silent
    drop: float
    p_after: float
    is_degenerate: bool
    subsets: tuple[tuple[Silent, float], ...]

    @property
    def max_subset_drop(self) -> float:
        """The largest drop among the proper subsets."""
        return max(drop for _, drop in self.subsets)


@dataclass(frozen=True)
class Findings:
    """What a search and its control found.

    Attributes:
        p_before: F, mean over all prompts.
        tried: the search.
        n_control: number of random sets tried, one with the same size and layers for every set;
            0 without a control.
        sets: the degenerate sets, their control counterparts, and all other control sets that
            meet the criterion.
    """

    p_before: float
    tried: Search
    n_control: int
    sets: tuple[SetDrop, ...]

    def found(self, kind: Literal["degenerate", "control"]) -> list[SetDrop]:
        """Those sets of one kind that meet the criterion."""
        return [found for found in self.sets if found.kind == kind and found.is_degenerate]


class _Meter:
    """Measures drops of sets of neurons, given by rank, and records F after each suppression."""

    def __init__(self, questions: Questions, neurons: Sequence[Neuron], kind: Drop) -> None:
        self.questions = questions
        self.neurons = neurons
        self.kind = kind
        self.p_after: dict[Group, float] = {}

    def silent(self, group: Group) -> Silent:
        return tuple(sorted(self.neurons[rank] for rank in group))

    def __call__(self, groups: Sequence[Group]) -> list[float]:
        if not groups:
            return []
        silent = [self.silent(group) for group in groups]
        after = self.questions.probabilities(silent)
        wrong = (~after.isfinite().all(0)).nonzero().flatten().tolist()
        if wrong:
            without = ",".join(map(str, silent[wrong[0]]))
            raise NotFinite(f"the answer's probability is not finite without {without}")
        self.p_after |= dict(zip(groups, after.mean(0).tolist(), strict=True))
        return mean_drops(self.questions.observed_p, after, self.kind).tolist()


def examine(
    questions: Questions,
    neurons: Sequence[Neuron],
    control: Sequence[Neuron] | None,
    criterion: Criterion,
) -> Findings:
    """Search neurons for degenerate sets, and measure the same sets of control neurons.

    Args:
        questions: prompts; the answer's probability must be above 0 in at least one.
        neurons: the neurons to search, the strongest first.
        control: for each neuron, a replacement in the same layer; None for no control.
        criterion: what to search, and what counts as degenerate.

    Raises:
        UsageError: the model has no such neuron.
        ModelError: a single set does not fit in memory.
        NotFinite: without some of the neurons, the answer's probability is not a number.
    """
    meter = _Meter(questions, neurons, criterion.drop)
    tried = search(len(neurons), meter, criterion)
    degenerate = {group for group in tried.sets if criterion.is_degenerate(group, tried.drops)}
    sets = [
        _set_drop("degenerate", group, meter, tried.drops, criterion)
        for group in sorted(degenerate)
    ]
    if control is not None and tried.sets:
        twin = _Meter(questions, control, criterion.drop)
        twin_drops = dict(zip(tried.drops, twin(list(tried.drops)), strict=True))
        sets += [
            _set_drop("control", group, twin, twin_drops, criterion)
            for group in tried.sets
            if group in degenerate or criterion.is_degenerate(group, twin_drops)
        ]
    n_control = 0 if control is None else len(tried.sets)
    return Findings(float(questions.observed_p.mean()), tried, n_control, tuple(sets))


def _set_drop(
    kind: Literal["degenerate", "control"],
    group: Group,
    meter: _Meter,
    drops: Mapping[Group, float],
    criterion: Criterion,
) -> SetDrop:
    return SetDrop(
        kind,
        meter.silent(group),
        drops[group],
        meter.p_after[group],
        criterion.is_degenerate(group, drops),
        tuple((meter.silent(part), drops[part]) for part in proper_subsets(group)),
    )
