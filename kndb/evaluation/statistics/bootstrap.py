"""Bootstrap intervals of ratios of sums, facts drawn with replacement. Numpy only.

Percentile intervals (Efron 1979). Sum or average several measurements of one fact
beforehand: facts are drawn, not measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95

_DRAWN_AT_ONCE = 4_000_000  # numbers: 32 MB


def ratio_intervals(
    above: Floats, below: Floats, seed: int, replicates: int, level: float = LEVEL
) -> Floats:
    """The intervals of ratios ``above.sum(0) / below.sum(0)`` over the same facts and draws.

    Draws in which nothing is below do not count. A mean is a ratio over ones.

    >>> ratio_intervals(np.ones((3, 1)), np.ones((3, 1)), seed=0, replicates=100).tolist()
    [[1.0, 1.0]]

    Args:
        above, below: ``(facts, ratios)``, without nan; both 0 for a fact without data.
        seed: seed of the draws.
        replicates: number of draws.
        level: share of draws that the interval contains.

    Returns:
        ``(ratios, 2)``, the ends of each; nan with data for fewer than two facts: a single fact
        does not show how facts vary.
    """
    ends = np.full((above.shape[1], 2), np.nan)
    several = ((above != 0) | (below != 0)).sum(axis=0) > 1
    if not several.any():
        return ends
    sums = [(drawn @ above, drawn @ below) for drawn in _draws(len(above), seed, replicates)]
    tops, bottoms = (np.concatenate(parts) for parts in zip(*sums, strict=True))
    ratios = np.divide(tops, bottoms, out=np.full_like(tops, np.nan), where=bottoms != 0)
    tails = [(1 - level) / 2, (1 + level) / 2]
    for column in np.flatnonzero(several):
        ends[column] = _quantiles(ratios[:, column], tails)
    return ends


def fact_sums(values: Floats, facts: NDArray[np.int64]) -> Floats:
    """Sums of each fact's measurements: ``(facts, columns)``, by fact.

    >>> fact_sums(np.array([[1.0], [2.0], [4.0]]), np.array([7, 3, 7])).tolist()
    [[2.0], [5.0]]

    Args:
        values: ``(measurements, columns)``.
        facts: ``(measurements,)``, which fact each is of.
    """
    known, places = np.unique(facts, return_inverse=True)
    sums = np.zeros((len(known), values.shape[1]))
    np.add.at(sums, places, values)
    return sums


def _quantiles(values: Floats, tails: list[float]) -> Floats:
    known = values[~np.isnan(values)]
    return np.quantile(known, tails) if len(known) else np.full(len(tails), np.nan)


def _draws(n: int, seed: int, replicates: int) -> Iterator[Floats]:
    """How often each of ``n`` facts is drawn, ``(draws, n)``; some of the replicates at a time."""
    if n * replicates <= _DRAWN_AT_ONCE:
        yield _all_draws(n, seed, replicates)
        return
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // n)
    for start in range(0, replicates, at_once):
        yield _drawn(generator, min(at_once, replicates - start), n)


@lru_cache(maxsize=1)  # tables have many rows over equally many facts
def _all_draws(n: int, seed: int, replicates: int) -> Floats:
    return _drawn(np.random.default_rng(seed), replicates, n)


def _drawn(generator: np.random.Generator, draws: int, n: int) -> Floats:
    places = generator.integers(0, n, size=(draws, n)) + n * np.arange(draws)[:, None]
    counts = np.bincount(places.ravel(), minlength=draws * n)
    return counts.reshape(draws, n).astype(float)
