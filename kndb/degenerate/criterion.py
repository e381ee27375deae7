"""Degenerate neurons: sets the model can do without in part, but not as a whole (Chen et al. 2024).

With ``d(S) = (F - F with the neurons S set to 0) / F``, a set S of at least two neurons is
degenerate when every proper non-empty subset has ``d <= t_low`` and ``d(S) > t_high``. The paper
considers pairs; larger sets are searched level by level, trying only sets whose proper subsets are
all at or below ``t_low``. For several prompts, d is the mean over the prompts.

The search identifies neurons by rank and gets drops from a function; :func:`examine` supplies that
function and adds a control. Nothing here depends on facts, files or how a model runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from torch import Tensor

from kndb.attribution.suppression import Questions, Silent
from kndb.errors import UsageError
from kndb.neurons import Neuron

Drop = Literal["relative", "absolute"]
DROPS: tuple[Drop, ...] = get_args(Drop)

Group = tuple[int, ...]
"""Ranks of neurons, ascending; the strongest neuron is 0."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What to search, and what counts as degenerate.

    Attributes:
        max_size: size of the largest sets.
        budget: at most this many sets of two or more neurons are tried.
        drop: ``relative``, which is d as defined above, or ``absolute``, which is F minus F with
            the set suppressed.
        t_low: no proper subset may have a larger drop.
        t_high: the drop of the whole set must exceed this.

    Default thresholds: the released code (heng840/AMIG, ``test_synergistic_neurons``).
    """

    max_size: int = 2
    budget: int = 2000
    drop: Drop = "relative"
    t_low: float = 0.2
    t_high: float = 0.25

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: a size below 2, a budget below 1, an unknown kind of drop, or thresholds
                that are not ``0 <= t_low <= t_high < 1``.
        """
        if self.max_size < 2:
            raise UsageError(f"A degenerate set has at least 2 neurons; {self.max_size} was given.")
        if self.budget < 1:
            raise UsageError(f"The budget must be at least 1 set; {self.budget} was given.")
        if self.drop not in DROPS:
            raise UsageError(f"Unknown kind of drop {self.drop!r}; use {', '.join(DROPS)}.")
        if not 0 <= self.t_low <= self.t_high < 1:
            raise UsageError(
                "The thresholds must satisfy 0 <= t-low <= t-high < 1; "
                f"{self.t_low:g} and {self.t_high:g} were given."
            )

    def is_degenerate(self, group: Group, drops: Mapping[Group, float]) -> bool:
        """Whether a set is degenerate, given its own drop and those of its proper subsets."""
        return (
            len(group) > 1
            and drops[group] > self.t_high
            and all(drops[part] <= self.t_low for part in proper_subsets(group))
        )


def proper_subsets(group: Group) -> Iterator[Group]:
    """All proper non-empty subsets, the smallest first.

    >>> list(proper_subsets((0, 2, 5)))
    [(0,), (2,), (5,), (0, 2), (0, 5), (2, 5)]
    """
    for size in range(1, len(group)):
        yield from combinations(group, size)


@dataclass(frozen=True)
class Search:
    """What a search tried.

    Attributes:
        drops: the drop of every set tried, single neurons first.
        untried: number of sets left untried when the budget ran out.
        untried_size: size of those sets; larger sets were not considered.
    """

    drops: Mapping[Group, float]
    untried: int = 0
    untried_size: int = 0

    @property
    def sets(self) -> list[Group]:
        """The sets of two or more neurons that were tried."""
        return [group for group in self.drops if len(group) > 1]


Measure = Callable[[Sequence[Group]], Sequence[float]]
"""Returns the drop of each given set."""


def search(n: int, measure: Measure, criterion: Criterion) -> Search:
    """Try sets of ``n`` neurons, level by level.

    >>> def measure(groups):
    ...     return [0.9 if {0, 2} <= set(group) else 0.1 for group in groups]
    >>> search(3, measure, Criterion()).drops
    {(0,): 0.1, (1,): 0.1, (2,): 0.1, (0, 1): 0.1, (0, 2): 0.9, (1, 2): 0.1}

    If a level exceeds the budget, the sets of the strongest neurons are tried. If the budget covers
    all pairs, they are measured together with the single neurons, which saves one pass over the
    weights: few single neurons matter much, so few pairs are wasted. The wasted ones are dropped.
    """
    singles: list[Group] = [(i,) for i in range(n)]
    pairs: list[Group] = list(combinations(range(n), 2))
    ahead = pairs if len(pairs) <= criterion.budget else []
    measured = dict(zip([*singles, *ahead], measure([*singles, *ahead]), strict=True))
    drops = {group: measured[group] for group in singles}
    left = criterion.budget
    for size in range(2, criterion.max_size + 1):
        due = _next_level(drops, size, n, criterion.t_low)
        chosen = due[:left]
        missing = [group for group in chosen if group not in measured]
        measured |= dict(zip(missing, measure(missing), strict=True))
        drops |= {group: measured[group] for group in chosen}
        left -= len(chosen)
        if len(chosen) < len(due):
            return Search(drops, len(due) - len(chosen), size)
        if not due:
            break
    return Search(drops)


def _next_level(drops: Mapping[Group, float], size: int, n: int, t_low: float) -> list[Group]:
    """Sets of ``size`` whose proper subsets are all at or below ``t_low``, the strongest first.

    Only subsets with one neuron less need checking: smaller ones were checked a level earlier.
    """
    low = {group for group, drop in drops.items() if len(group) == size - 1 and drop <= t_low}
    due = [
        (*group, last)
        for group in low
        for last in range(group[-1] + 1, n)
        if all(part in low for part in combinations((*group, last), size - 1))
    ]
    return sorted(due, key=lambda group: (sum(group), group))


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
        after = self.questions.probabilities([self.silent(group) for group in groups])
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
