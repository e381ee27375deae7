"""Thresholds that tell true claims from false ones, and the curves they are read off.

A claim is held true when its score is at least the threshold. Computes from scores alone; where
they come from, and which facts may be used, is the caller's to know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """How many claims score at least so much.

    Attributes:
        thresholds: ascending; the lowest lets every claim pass.
        true_above: of each threshold, true claims at or above it.
        false_above: likewise, false claims.
    """

    thresholds: Scores
    true_above: NDArray[np.int64]
    false_above: NDArray[np.int64]

    @property
    def f1(self) -> Scores:
        """F1 of each threshold, true claims being the positives."""
        found: Scores = (
            2 * self.true_above / (self.true_above + self.false_above + self.true_above[0])
        )
        return found

    @property
    def accuracy(self) -> Scores:
        """Share of claims that each threshold tells rightly."""
        rejected = self.false_above[0] - self.false_above
        found: Scores = (self.true_above + rejected) / (self.true_above[0] + self.false_above[0])
        return found

    def rank(self, score: float) -> float:
        """The share of the curve's claims that score lower, which compares unlike scores.

        >>> curve_of(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])).rank(2.9)
        0.5
        """
        at = max(int(np.searchsorted(self.thresholds, score, side="right")) - 1, 0)
        above = self.true_above + self.false_above
        return float(1 - above[at] / above[0])

    def thinned(self, n: int) -> Curve:
        """At most about ``n`` of the thresholds, evenly; the first is kept."""
        step = -(-len(self.thresholds) // n)
        return Curve(self.thresholds[::step], self.true_above[::step], self.false_above[::step])


def curve_of(scores: Scores, labels: NDArray[np.bool_]) -> Curve:
    """The curve of some claims.

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
    """The place of the threshold with the highest F1 or accuracy.

    Of equals the one that is better by the other measure, then the lowest.
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
    """Where the threshold lies when the facts are drawn anew with replacement.

    Args:
        scores, labels: of the claims, as in :func:`curve_of`.
        facts: ``(claims,)``, the number of the fact that each claim is about.
        objective: ``f1`` or ``accuracy``.
        seed: of the draws.
        replicates: number of draws.
        level: share of the draws' thresholds within the band.

    Returns:
        The lowest and the highest threshold of the band.
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
