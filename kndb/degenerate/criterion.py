"""Degenerate neurons: sets of which each part can be missed, but not the whole (AMIG; Chen et al.).

With ``d(S) = (F - F with the neurons S set to 0) / F``, a set S of at least two neurons is
degenerate when every proper non-empty subset has ``d <= t_low`` and ``d(S) > t_high``. Pairs are
the paper's case; larger sets are found level by level, and a set is tried only if all its proper
subsets stay at or below ``t_low``. Of several prompts, d is the mean of the prompts' own d.

The search knows neurons by their rank and asks a function for drops; :func:`examine` puts the two
together with a control. Nothing here knows facts, files or how a model runs.
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
"""Neurons by their rank, the strongest is 0; ascending."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What is searched, and what counts as degenerate.

    Attributes:
        max_size: largest set.
        budget: most sets of at least two neurons to try.
        drop: ``relative`` as d above, or ``absolute``: F minus F without the set.
        t_low: largest drop of a set's proper subsets.
        t_high: a degenerate set's drop is above it.

    The thresholds are those of the released code (heng840/AMIG, ``test_synergistic_neurons``).
    """

    max_size: int = 2
    budget: int = 2000
    drop: Drop = "relative"
    t_low: float = 0.2
    t_high: float = 0.25

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: a size below 2, no budget, an unknown drop, or thresholds that are not
                ``0 <= t_low <= t_high < 1``.
        """
        if self.max_size < 2:
            raise UsageError(f"A degenerate set has at least 2 neurons; {self.max_size} was given.")
        if self.budget < 1:
            raise UsageError(f"The budget must be at least 1 set; {self.budget} was given.")
        if self.drop not in DROPS:
            raise UsageError(f"There is no drop {self.drop!r}; choose from {', '.join(DROPS)}.")
        if not 0 <= self.t_low <= self.t_high < 1:
            raise UsageError(
                "The thresholds must be 0 <= t-low <= t-high < 1; "
                f"{self.t_low:g} and {self.t_high:g} were given."
            )

    def is_degenerate(self, group: Group, drops: Mapping[Group, float]) -> bool:
        """Whether a set is, by its own drop and those of all its proper subsets."""
        return (
            len(group) > 1
            and drops[group] > self.t_high
            and all(drops[part] <= self.t_low for part in proper_subsets(group))
        )


def proper_subsets(group: Group) -> Iterator[Group]:
    """All non-empty ones, the small ones first.

    >>> list(proper_subsets((0, 2, 5)))
    [(0,), (2,), (5,), (0, 2), (0, 5), (2, 5)]
    """
    for size in range(1, len(group)):
        yield from combinations(group, size)


@dataclass(frozen=True)
class Search:
    """What a search has tried.

    Attributes:
        drops: the drop of every set tried, single neurons first.
        untried: sets that the budget left, of the size at which it ended.
        untried_size: that size; larger sets were not looked for.
    """

    drops: Mapping[Group, float]
    untried: int = 0
    untried_size: int = 0

    @property
    def sets(self) -> list[Group]:
        """The sets of at least two neurons."""
        return [group for group in self.drops if len(group) > 1]


Measure = Callable[[Sequence[Group]], Sequence[float]]
"""Drops of some sets."""


def search(n: int, measure: Measure, criterion: Criterion) -> Search:
    """Try sets of ``n`` neurons, level by level.

    >>> def measure(groups):
    ...     return [0.9 if {0, 2} <= set(group) else 0.1 for group in groups]
    >>> search(3, measure, Criterion()).drops
    {(0,): 0.1, (1,): 0.1, (2,): 0.1, (0, 1): 0.1, (0, 2): 0.9, (1, 2): 0.1}

    Of a level that exceeds the budget, the sets of the strongest neurons are tried. Pairs are
    measured together with single neurons where the budget holds them all: few single neurons
    matter much, and a run over the weights is saved. Pairs that turn out not to be due are dropped.
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
    """Sets of ``size`` whose proper subsets all stay at or below ``t_low``, the strongest first.

    Those of one neuron less are enough: they were tried for the same reason.
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
        before: ``(prompts,)``, F; prompts in which it is 0 do not count.
        after: ``(prompts, sets)``, F with each set suppressed.
        kind: relative to F, or absolute.
    """
    counted = before > 0
    lost = before[counted, None] - after[counted]
    return (lost / before[counted, None] if kind == "relative" else lost).mean(0)


@dataclass(frozen=True)
class SetDrop:
    """A set of neurons, what its suppression does, and what its parts do.

    Attributes:
        kind: ``degenerate``, of the given neurons, or ``control``, of random ones.
        neurons: the set, ascending.
        drop: d(S), relative or absolute.
        p_after: F with the set suppressed, mean over all prompts.
        is_degenerate: whether it meets the criterion.
        subsets: every proper non-empty subset with its drop.
    """

    kind: Literal["degenerate", "control"]
    neurons: Silent
    drop: float
    p_after: float
    is_degenerate: bool
    subsets: tuple[tuple[Silent, float], ...]

    @property
    def max_subset_drop(self) -> float:
        """The largest drop of a proper subset."""
        return max(drop for _, drop in self.subsets)


@dataclass(frozen=True)
class Findings:
    """What a search and its control found.

    Attributes:
        p_before: F, mean over all prompts.
        tried: the search.
        n_control: random sets tried: one of the same size and layers for every set, or 0.
        sets: the degenerate sets and, of the control, their counterparts and what met the
            criterion.
    """

    p_before: float
    tried: Search
    n_control: int
    sets: tuple[SetDrop, ...]

    def found(self, kind: Literal["degenerate", "control"]) -> list[SetDrop]:
        """The sets of this kind that meet the criterion."""
        return [found for found in self.sets if found.kind == kind and found.is_degenerate]


class _Meter:
    """Measures sets of certain neurons, and remembers what became of F."""

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
    """Search some neurons for degenerate sets, and try the same sets of control neurons.

    Args:
        questions: prompts of which one at least has a probability above 0.
        neurons: the strongest first.
        control: in place of each neuron another one of its layer; None for no control.
        criterion: what to search and what counts.

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
