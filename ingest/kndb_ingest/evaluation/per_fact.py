"""Means and shares with intervals, of values of which a fact may have several. Numpy only.

A mean is over all values; its interval draws facts, so that the values of one fact go together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kndb_ingest.evaluation.bootstrap import Floats, fact_sums, ratio_interval, ratio_intervals

Estimate = tuple[float | None, float | None, float | None]
"""A value and the ends of its interval; None where there is nothing to tell it from."""


def named(name: str) -> list[str]:
    """The columns of an estimate.

    >>> named("drop")
    ['drop', 'drop_low', 'drop_high']
    """
    return [name, f"{name}_low", f"{name}_high"]


def mean_of(
    values: Sequence[float | None], facts: Sequence[int], seed: int, replicates: int
) -> Estimate:
    """The mean of the values that are there.

    >>> mean_of([1.0, 1.0, None], [1, 2, 2], seed=0, replicates=100)
    (1.0, 1.0, 1.0)

    Args:
        values: of measurements.
        facts: the fact of each.
        seed, replicates: of the bootstrap.
    """
    known = [(v, fact) for v, fact in zip(values, facts, strict=True) if v is not None]
    if not known:
        return None, None, None
    numbers, keys = (np.array(column) for column in zip(*known, strict=True))
    sums, counts = summed(numbers.astype(float), keys), summed(np.ones(len(keys)), keys)
    return ratio_of(sums, counts, seed, replicates)


def summed(values: Floats, facts: NDArray[np.int64]) -> Floats:
    """The sum of each fact's values, facts rising: ``(facts,)``."""
    sums: Floats = fact_sums(values[:, None], facts)[:, 0]
    return sums


def ratio_of(above: Floats, below: Floats, seed: int, replicates: int) -> Estimate:
    """The ratio of two sums over facts; nothing where nothing is below.

    Args:
        above, below: ``(facts,)``.
        seed, replicates: of the bootstrap.
    """
    whole = float(below.sum())
    if not whole > 0:
        return None, None, None
    low, high = ratio_interval(above, below, seed, replicates)
    return float(above.sum()) / whole, low, high


def shares_by_layer(counts: Floats, seed: int, replicates: int) -> list[tuple[int, Estimate]]:
    """Of each layer, how many there are, and their share of all layers'.

    Args:
        counts: ``(facts, layers)``.
        seed, replicates: of the bootstrap.
    """
    whole = counts.sum()
    totals = counts.sum(axis=0)
    if not whole:
        return [(0, (None, None, None))] * counts.shape[1]
    all_layers = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
    ends = ratio_intervals(counts, all_layers, seed, replicates)
    return [
        (int(n), (float(n / whole), float(low), float(high)))
        for n, (low, high) in zip(totals, ends, strict=True)
    ]
