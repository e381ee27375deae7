"""Curves of claims against thresholds, and thresholds that separate true claims from false.

A claim counts as true when its score is at least the threshold. Only scores are used; their source,
and which facts may be used, are the caller's concern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """How many claims reach each threshold.

    Attributes:
        thresholds: ascending; every claim reaches the lowest.
        true_above: true claims at or above each threshold.
        false_above: false claims at or above each threshold.
    """

    thresholds: Scores
    true_above: NDArray[np.int64]
    false_above: NDArray[np.int64]

    @property
    def f1(self) -> Scores:
        """F1 at each threshold; true claims are the positives."""
        found: Scores = (
            2 * self.true_above / (self.true_above + self.false_above + self.true_above[0])
        )
        return found

    @property
    def accuracy(self) -> Scores:
        """Share of claims that each threshold classifies correctly."""
        rejected = self.false_above[0] - self.false_above
        found: Scores = (self.true_above + rejected) / (self.true_above[0] + self.false_above[0])
        return found

    def rank(self, score: float) -> float:
        """The share of the curve's claims that score lower: it compares scores of different kinds.

        >>> curve_of(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])).rank(2.9)
        0.5
        """
        at = max(int(np.searchsorted(self.thresholds, score, side="right")) - 1, 0)
        above = self.true_above + self.false_above
        return float(1 - above[at] / above[0])

    def thinned(self, n: int) -> Curve:
        """About ``n`` evenly spaced thresholds at most; the first is kept."""
        step = -(-len(self.thresholds) // n)
        return Curve(self.thresholds[::step], self.true_above[::step], self.false_above[::step])


def curve_of(scores: Scores, labels: NDArray[np.bool_]) -> Curve:
    """The curve of a set of claims.

    Args:
        scores: ``(claims,)``.
        labels: ``(claims,)``, whether each is true.
    """
    order = np.argsort(-scores, kind="stable")
    falling, truth = scores[order], labels[order]
    last = np.append(falling[1:] < falling[:-1], True)  # the last claim of each distinct score
    distinct = falling[last]
    # Halfway to the next lower score, where there is one.
    thresholds = np.append((distinct[:-1] + distinct[1:]) / 2, distinct[-1:])
    true_above, false_above = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    return Curve(thresholds[::-1], true_above[::-1], false_above[::-1])


OBJECTIVES = ("f1", "accuracy")


def best_threshold(curve: Curve, objective: str) -> int:
    """Index of the threshold with the highest F1 or accuracy.

    Ties are broken by the other measure, then by the lowest threshold.
    """
    first, second = curve.f1, curve.accuracy
    if objective == "accuracy":
        first, second = second, first
    return int(np.lexsort((-second, -first))[0])


def threshold_band(
    scores: Scores,
    labels: NDArray[np.bool_],
    facts: NDArray[np.int64],
    objective: str,
    seed: int,
    *,
    replicates: int = 200,
    level: float = 0.5,
) -> tuple[float, float]:
    """The range of the best threshold when the facts are resampled with replacement.

    Args:
        scores, labels: as in :func:`curve_of`.
        facts: ``(claims,)``, the number of each claim's fact.
        objective: ``f1`` or ``accuracy``.
        seed: seed of the resampling.
        replicates: number of resamples.
        level: share of the resamples' thresholds that lie within the band.

    Returns:
        The lower and upper end of the band.
    """
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(facts == fact) for fact in np.unique(facts)]
    found = []
    for _ in range(replicates):
        drawn = np.concatenate(
            [members[i] for i in generator.integers(len(members), size=len(members))]
        )
        curve = curve_of(scores[drawn], labels[drawn])
        found.append(curve.thresholds[best_threshold(curve, objective)])
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
