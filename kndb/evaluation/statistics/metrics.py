"""Precision, recall, F1, accuracy and AUROC, with bootstrap intervals. Numpy only, no files.

True claims are the positives. Precision is the share of accepted claims that are true; recall is
the share of true claims that are accepted. Precision is 0 if nothing is accepted, recall is 0 if no
claim is true, and F1 is 0 if both are 0.

Intervals come from drawing *facts* with replacement: the claims about one fact go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kndb.evaluation.statistics.bootstrap import LEVEL, Floats

Bools = NDArray[np.bool_]

METRICS = ("precision", "recall", "f1", "auroc", "accuracy")


@dataclass(frozen=True)
class Judged:
    """Claims of one relation and language, scored and judged.

    Attributes:
        truth: ``(claims,)``, whether each is true.
        held: ``(claims,)``, whether each is accepted as true.
        scores: ``(claims,)``, higher for claims that look truer.
        facts: ``(claims,)``, the number of each claim's fact.
    """

    truth: Bools
    held: Bools
    scores: Floats
    facts: NDArray[np.int64]


def measure(parts: Sequence[Judged]) -> dict[str, float]:
    """The metrics over all parts. AUROC compares claims within a part only.

    >>> part = Judged(
    ...     np.array([True, False]), np.array([True, True]), np.array([2.0, 1.0]), np.array([0, 0])
    ... )
    >>> measure([part])
    {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666, 'auroc': 1.0, 'accuracy': 0.5}
    """
    weights = [np.ones((1, len(part.truth))) for part in parts]
    return {name: float(values[0]) for name, values in _weighted(parts, weights).items()}


def intervals(
    parts: Sequence[Judged], seed: int, replicates: int, level: float = LEVEL
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of the metrics (Efron 1979), facts drawn with replacement.

    A fact that occurs in several parts is drawn in all of them together. A single fact
    does not show how facts vary: the ends are nan.
    """
    every = np.unique(np.concatenate([part.facts for part in parts]))
    if len(every) < 2:
        return dict.fromkeys(METRICS, (np.nan, np.nan))
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(
        len(every), np.full(len(every), 1 / len(every)), size=replicates
    ).astype(float)
    weights = [counts[:, np.searchsorted(every, part.facts)] for part in parts]
    tails = [(1 - level) / 2, (1 + level) / 2]
    found = {}
    for name, values in _weighted(parts, weights).items():
        low, high = np.nanquantile(values, tails) if not np.isnan(values).all() else (np.nan,) * 2
        found[name] = float(low), float(high)
    return found


def _weighted(parts: Sequence[Judged], weights: Sequence[Floats]) -> dict[str, Floats]:
    """The metrics, ``(replicates,)`` each, with weights ``(replicates, claims)`` of each part."""
    pairs = list(zip(parts, weights, strict=True))

    def total(chosen: Sequence[Bools]) -> Floats:
        sums = [w[:, which].sum(1) for (_, w), which in zip(pairs, chosen, strict=True)]
        return np.sum(sums, axis=0)  # type: ignore[no-any-return]

    hits = total([part.truth & part.held for part in parts])
    held = total([part.held for part in parts])
    true = total([part.truth for part in parts])
    right = total([part.truth == part.held for part in parts])
    n = total([np.ones_like(part.truth) for part in parts])
    wins, compared = np.sum([auroc_parts(part.scores, part.truth, w) for part, w in pairs], axis=0)
    return {
        "precision": _ratio(hits, held),
        "recall": _ratio(hits, true),
        "f1": _ratio(2 * hits, held + true),
        "auroc": _ratio(wins, compared, np.nan),
        "accuracy": _ratio(right, n),
    }


def auroc_parts(scores: Floats, truth: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """Pairs of a true and a false claim in which the true one scores higher, and all pairs.

    Equal scores are half a pair (Mann-Whitney). AUROC is their quotient.

    Args:
        scores, truth: ``(claims,)``.
        weights: ``(replicates, claims)``.
    """
    _, places = np.unique(scores, return_inverse=True)
    n = places.max() + 1
    mass = np.zeros((2, n, len(weights)))
    np.add.at(mass, (truth.astype(int), places), weights.T)
    false, true = mass
    below = np.cumsum(false, axis=0) - false
    return (true * (below + false / 2)).sum(0), true.sum(0) * false.sum(0)


def _ratio(a: Floats, b: Floats, nothing: float = 0.0) -> Floats:
    return np.divide(a, b, out=np.full_like(a, nothing), where=b > 0)
