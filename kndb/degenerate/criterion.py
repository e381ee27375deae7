"""Degenerate neurons: sets the model can do without in part, but not as a whole (Chen et al. 2024).

With ``d(S) = (F - F with the neurons S set to 0) / F``, a set S of at least two neurons is
degenerate when every proper non-empty subset has ``d <= t_low`` and ``d(S) > t_high``. The paper
considers pairs; larger sets are searched level by level, trying only sets whose proper subsets are
all at or below ``t_low``. For several prompts, d is the mean over the prompts.

The search identifies neurons by rank and gets drops from a function, which
``kndb.degenerate.examine`` supplies. Nothing here depends on facts, files or models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

from kndb.errors import UsageError

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
