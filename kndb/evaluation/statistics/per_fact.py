"""Means and ratios with intervals; a fact may have several values. Numpy only.

A mean is over all values; its interval resamples facts, so that the values of one fact stay
together. Estimates without data are nan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kndb.evaluation.statistics.bootstrap import Floats, fact_sums, ratio_intervals

Estimate = tuple[float, float, float]
"""A value and the ends of its interval."""


def named(*names: str) -> list[str]:
    """The columns of estimates.

    >>> named("drop")
    ['drop', 'drop_low', 'drop_high']
    """
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def mean_of(
    values: Sequence[float | None], facts: Sequence[int], seed: int, replicates: int
) -> Estimate:
    """The mean of the values that are not None.

    >>> mean_of([1.0, 1.0, None], [1, 2, 2], seed=0, replicates=100)
    (1.0, 1.0, 1.0)

    Args:
        values: one per measurement.
        facts: the fact of each measurement.
        seed, replicates: seed and number of resamples of the bootstrap.
    """
    column = np.array(values, dtype=float)[:, None]
    (found,) = ratios_of(column, np.ones_like(column), np.array(facts), seed, replicates)
    return _estimate(found)


def ratios_of(
    above: Floats, below: Floats, facts: NDArray[np.int64], seed: int, replicates: int
) -> Floats:
    """Estimates ``(ratios, 3)`` of sums over sums of measurements; pairs with a nan do not count.

    Args:
        above, below: ``(measurements, ratios)``.
        facts: ``(measurements,)``, the fact of each.
        seed, replicates: seed and number of resamples of the bootstrap.
    """
    known = ~np.isnan(above + below)
    sums = [fact_sums(np.where(known, side, 0), facts) for side in (above, below)]
    return estimates(sums[0], sums[1], seed, replicates)


def estimates(above: Floats, below: Floats, seed: int, replicates: int) -> Floats:
    """Estimates ``(ratios, 3)`` of sums over sums of facts: each value, then its interval's ends.

    Args:
        above, below: ``(facts, ratios)``, without nan.
        seed, replicates: seed and number of resamples of the bootstrap.
    """
    tops, bottoms = above.sum(axis=0), below.sum(axis=0)
    whole = np.divide(tops, bottoms, out=np.full(len(tops), np.nan), where=bottoms != 0)
    return np.column_stack([whole, ratio_intervals(above, below, seed, replicates)])


def ratio_of(above: Floats, below: Floats, seed: int, replicates: int) -> Estimate:
    """The estimate of one ratio, from ``(facts,)`` each."""
    (found,) = estimates(above[:, None], below[:, None], seed, replicates)
    return _estimate(found)


def _estimate(found: Floats) -> Estimate:
    value, low, high = found.tolist()
    return value, low, high


def summed(values: Sequence[float], facts: NDArray[np.int64]) -> Floats:
    """The sum of each fact's values, facts rising: ``(facts,)``."""
    sums: Floats = fact_sums(np.array(values, dtype=float)[:, None], facts)[:, 0]
    return sums


def layer_rows(some: Floats, every: Floats, seed: int, replicates: int) -> list[list[float]]:
    """The distribution over layers of some neurons and of all neurons.

    Args:
        some, every: ``(facts, layers)``, numbers of neurons.
        seed, replicates: seed and number of resamples of the bootstrap.

    Returns:
        For each layer: its number; the count of ``some`` and the estimate of its share of all
        layers; the same for ``every``; the estimate of ``some`` as a share of ``every`` there.
    """
    args = (seed, replicates)
    shares, shares_every = (estimates(n, _all_layers(n), *args) for n in (some, every))
    among = estimates(some, every, *args)
    return [
        [layer, int(n), *shares[layer], int(n_every), *shares_every[layer], *among[layer]]
        for layer, (n, n_every) in enumerate(zip(some.sum(0), every.sum(0), strict=True))
    ]


def _all_layers(counts: Floats) -> Floats:
    return np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
