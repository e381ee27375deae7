"""Bootstrap intervals of means and of ratios of sums, facts drawn with replacement. Numpy only.

Percentile intervals (Efron 1979). What is measured several times of one fact is to be summed or
averaged before it comes here: facts are drawn, not measurements.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REPLICATES = 1000
LEVEL = 0.95

_DRAWN_AT_ONCE = 4_000_000  # numbers: 32 MB


def mean_interval(
    values: Floats, seed: int, replicates: int = REPLICATES, level: float = LEVEL
) -> tuple[float, float]:
    """The interval of the mean of ``values``, those that are nan left out.

    >>> mean_interval(np.array([1.0, 1.0, np.nan]), seed=0)
    (1.0, 1.0)

    Args:
        values: ``(facts,)``.
        seed: of the draws.
        replicates: number of draws.
        level: share of draws that the interval holds.

    Returns:
        Its ends; nan where there is no value.
    """
    known = values[~np.isnan(values)]
    return ratio_interval(known, np.ones(len(known)), seed, replicates, level)


def ratio_interval(
    above: Floats,
    below: Floats,
    seed: int,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """The interval of ``above.sum() / below.sum()``; draws in which nothing is below do not count.

    Args:
        above, below: ``(facts,)``, without nan.
        seed, replicates, level: as in :func:`mean_interval`.
    """
    if not len(above):
        return float("nan"), float("nan")
    sums = [(drawn @ above, drawn @ below) for drawn in _draws(len(above), seed, replicates)]
    tops, bottoms = (np.concatenate(column) for column in zip(*sums, strict=True))
    ratios = tops[bottoms > 0] / bottoms[bottoms > 0]
    if not len(ratios):
        return float("nan"), float("nan")
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draws(n: int, seed: int, replicates: int) -> Iterator[Floats]:
    """How often each of ``n`` facts is drawn, ``(draws, n)``; some of the replicates at a time."""
    generator = np.random.default_rng(seed)
    shares = np.full(n, 1 / n)
    at_once = max(1, _DRAWN_AT_ONCE // n)
    for start in range(0, replicates, at_once):
        yield generator.multinomial(n, shares, size=min(at_once, replicates - start)).astype(float)
