"""How many neurons random sets share: exact probabilities, corrected for multiple tests.

Sets of given sizes are drawn independently and uniformly from ``population`` neurons. The module
works on arrays only and knows neither databases nor graphs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LARGEST_TABLE = 2**24
"""Entries in the largest lookup table for distinct rows: 80 MB."""

_LARGEST_NUMBER = 2**62
"""Distinct rows are found as numbers below this."""

_BATCH_ELEMENTS = 2_000_000
"""Elements in the largest temporary array: 16 MB of doubles."""


def expected_shared(population: int, sizes: Ints) -> Floats:
    """Mean size of the intersection: ``population * prod(size / population)``.

    Args:
        population: number of neurons in the model.
        sizes: ``(rows, sets)``, the sizes of the sets.

    Returns:
        ``(rows,)``.
    """
    share = np.ones(len(sizes))
    for column in sizes.T:  # column by column: a product along short rows is several times slower
        share *= column / population
    return population * share


def shared_p_values(population: int, sizes: Ints, shared: Ints) -> Floats:
    """The exact probability that random sets of these sizes share at least ``shared`` neurons.

    Every set after the first is one hypergeometric step: a random set of ``n`` neurons keeps ``j``
    of the ``i`` shared so far with probability ``C(n, j) C(population - n, i - j) / C(population,
    i)``. For two sets, this is the hypergeometric distribution.

    >>> float(shared_p_values(10, np.array([[2, 3]]), np.array([2]))[0])  # 3/10 * 2/9
    0.06666666666666667

    Args:
        population: number of neurons in the model.
        sizes: ``(rows, sets)`` with at least two sets; a set may be empty.
        shared: ``(rows,)``, the number of neurons that all sets share.

    Returns:
        ``(rows,)``; 0 where the probability is below the smallest double.
    """
    p_values = np.ones(len(shared))
    asked = np.flatnonzero(shared > 0)
    if asked.size:
        # Deduplicate before sorting the sizes, because there are many more rows, and again after.
        distinct, inverse = _unique_rows([column[asked] for column in (*sizes.T, shared)])
        questions = np.sort(distinct[:, :-1], axis=1)
        p_values[asked] = _distinct_p_values(population, questions, distinct[:, -1])[inverse]
    return p_values


def _distinct_p_values(population: int, sizes: Ints, shared: Ints) -> Floats:
    """Like ``shared_p_values``, for sizes sorted within each row."""
    unique, inverse = _unique_rows([*sizes.T, shared])
    answers = np.empty(len(unique))
    for batch in _batches(unique[:, 0]):
        answers[batch] = _tail(population, unique[batch, :-1], unique[batch, -1])
    return np.asarray(answers[inverse])


def _unique_rows(columns: list[Ints]) -> tuple[Ints, Ints]:
    """The distinct rows, sorted by first column, and the index of each row among them."""
    radices = [int(column.max()) + 1 for column in columns]
    if (table := math.prod(radices)) > _LARGEST_NUMBER:
        unique, inverse = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
        return unique, inverse.reshape(-1)
    # Each row is read as a number, with a column's radix at its place.
    numbers = np.zeros(len(columns[0]), dtype=np.int64)
    for column, radix in zip(columns, radices, strict=True):
        numbers = numbers * radix + column
    distinct, place = _distinct(numbers, table)
    weights = np.cumprod([1, *radices[:0:-1]])[::-1]
    return distinct[:, None] // weights % radices, place


def _distinct(numbers: Ints, table: int) -> tuple[Ints, Ints]:
    """The distinct numbers below ``table``, sorted, and the index of each number among them."""
    if table > _LARGEST_TABLE:
        return np.unique(numbers, return_inverse=True)
    there = np.zeros(table, dtype=bool)  # marking the numbers that occur beats sorting
    there[numbers] = True
    distinct = np.flatnonzero(there)
    place: Ints = np.empty(table, dtype=np.int32)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[numbers]


def _batches(smallest: Ints) -> list[slice]:
    """Slices of the rows, which are sorted by smallest set, small enough for ``_keep``."""
    slices, begin = [], 0
    for end in range(1, len(smallest) + 1):
        full = end == len(smallest)
        if full or (end + 1 - begin) * (int(smallest[end]) + 1) ** 2 > _BATCH_ELEMENTS:
            slices.append(slice(begin, end))
            begin = end
    return slices


def _tail(population: int, sizes: Ints, shared: Ints) -> Floats:
    """Like ``shared_p_values``, for sizes sorted within each row."""
    states = int(sizes[:, 0].max()) + 1
    distribution = np.zeros((len(sizes), states))
    distribution[np.arange(len(sizes)), sizes[:, 0]] = 1.0
    for column in range(1, sizes.shape[1]):
        distribution = _keep(population, distribution, sizes[:, column])
    at_least = np.arange(states) >= shared[:, None]
    tail: Floats = (distribution * at_least).sum(axis=1)
    return np.minimum(tail, 1.0)


def _keep(population: int, distribution: Floats, size: Ints) -> Floats:
    """One hypergeometric step: ``(rows, states)`` before and after a random set of ``size``.

    The probability is computed from falling factorials, ``C(i, j) n^(j) (N - n)^(i - j) / N^(i)``:
    their logarithms stay small, so no digits are lost.
    """
    states = distribution.shape[1]
    i, j = np.arange(states)[:, None], np.arange(states)[None, :]
    kept = _log_falling(size, states)[:, None, :]
    lost = _log_falling(population - size, states)[:, np.maximum(i - j, 0)]
    ways = _log_choose(states) - _log_falling(np.array([population]), states).T
    after: Floats = np.einsum("ri,rij->rj", distribution, np.exp(ways + kept + lost))
    return after


def _log_falling(start: Ints, states: int) -> Floats:
    """``(rows, states)``: log of ``start (start - 1) ... (start - r + 1)``; -inf where it is 0."""
    factors = np.maximum(start[:, None] - np.arange(states - 1), 0)
    with np.errstate(divide="ignore"):
        logs = np.log(factors.astype(float))
    return np.hstack([np.zeros((len(start), 1)), np.cumsum(logs, axis=1)])


def _log_choose(states: int) -> Floats:
    """``(states, states)``: log of ``C(i, j)``; -inf where j is above i."""
    log_factorial = np.array([math.lgamma(n + 1) for n in range(states)])
    i, j = np.arange(states)[:, None], np.arange(states)[None, :]
    log_choose = log_factorial[i] - log_factorial[j] - log_factorial[np.maximum(i - j, 0)]
    return np.where(j <= i, log_choose, -np.inf)


def pooled_p_value(shared: int, expected: float) -> float:
    """An upper bound on the chance that independent facts together share at least ``shared``.

    The size of an intersection of random sets is a sum of independent indicators (its generating
    function, a Schur-Szegö product, has only real roots), and so is the sum over facts. Above the
    mean plus one, the tail of such a sum is at most the binomial tail (Hoeffding 1956, theorem 4),
    which is at most the Poisson tail (Anderson and Samuels 1967). Closer to the mean, the bound is
    Markov's inequality.

    Args:
        shared: neurons shared, summed over the facts.
        expected: mean of this sum, from ``expected_shared``.
    """
    if shared == 0:
        return 1.0
    if expected == 0:
        return 0.0
    if shared < expected + 1:
        return min(1.0, expected / shared)
    term = series = 1.0
    above = shared
    while term > 1e-17 * series:
        above += 1
        term *= expected / above
        series += term
    log_first = shared * math.log(expected) - expected - math.lgamma(shared + 1)
    return min(1.0, math.exp(log_first) * series)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """q-values: the false discovery rate if every p-value up to this one counts as a discovery.

    Source: Benjamini and Hochberg 1995. NaN stays NaN and does not count as a test.
    """
    q_values = np.full(len(p_values), np.nan)
    asked = np.flatnonzero(~np.isnan(p_values))
    order = asked[np.argsort(p_values[asked], kind="stable")]
    scaled = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    q_values[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return q_values


def count_discoveries(p_values: Floats, level: float) -> int:
    """Count the q-values of ``benjamini_hochberg`` up to ``level`` without computing them."""
    ordered = np.sort(p_values[p_values <= level])
    passed = np.flatnonzero(ordered * len(p_values) <= level * np.arange(1, len(ordered) + 1))
    return int(passed[-1]) + 1 if passed.size else 0
