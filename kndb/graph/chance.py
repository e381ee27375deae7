"""How many neurons random sets share: exact probabilities, and corrections for many questions.

Numbers only: no database, no graph. Sets are uniformly random and independent, of given sizes,
among ``population`` neurons.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LARGEST_TABLE = 2**24
"""Entries of the largest table for finding distinct rows: 80 MB."""

_BATCH_ELEMENTS = 2_000_000
"""Elements of the largest temporary array: 16 MB of doubles."""


def expected_shared(population: int, sizes: Ints) -> Floats:
    """Mean size of the intersection: ``population * prod(size / population)``.

    Args:
        population: number of neurons of the model.
        sizes: ``(rows, sets)``, the sets' sizes.

    Returns:
        ``(rows,)``.
    """
    share = np.ones(len(sizes))
    for column in sizes.T:  # by columns: a product along short rows takes several times as long
        share *= column / population
    return population * share


def shared_p_values(population: int, sizes: Ints, shared: Ints) -> Floats:
    """Probability that random sets of these sizes share at least so many neurons, exactly.

    One hypergeometric step for each set after the first: of ``i`` neurons shared so far, a random
    set of ``n`` keeps ``j`` with probability ``C(n, j) C(population - n, i - j) / C(population,
    i)``. Two sets give the hypergeometric distribution itself.

    >>> float(shared_p_values(10, np.array([[2, 3]]), np.array([2]))[0])  # 3/10 * 2/9
    0.06666666666666667

    Args:
        population: number of neurons of the model.
        sizes: ``(rows, sets)``, at least two sets; 0 is allowed.
        shared: ``(rows,)``, the number of neurons that all of the sets share.

    Returns:
        ``(rows,)``; 0 where it is below the smallest double.
    """
    if not len(shared):
        return np.ones(0)
    # Distinct before the sizes are sorted, as there are many more rows, and again after.
    distinct, inverse = _unique_rows([*sizes.T, shared])
    p_values = np.ones(len(distinct))
    asked = np.flatnonzero(distinct[:, -1] > 0)
    if asked.size:
        questions = np.sort(distinct[asked, :-1], axis=1)
        p_values[asked] = _distinct_p_values(population, questions, distinct[asked, -1])
    return np.asarray(p_values[inverse])


def _distinct_p_values(population: int, sizes: Ints, shared: Ints) -> Floats:
    """As ``shared_p_values``, of sizes sorted along their rows and something shared."""
    unique, inverse = _unique_rows([*sizes.T, shared])
    answers = np.empty(len(unique))
    for batch in _batches(unique[:, 0]):
        answers[batch] = _tail(population, unique[batch, :-1], unique[batch, -1])
    return np.asarray(answers[inverse])


def _unique_rows(columns: list[Ints]) -> tuple[Ints, Ints]:
    """The distinct rows, by their first column, and where each row is among them."""
    radix = max(int(column.max()) for column in columns) + 1
    if radix ** len(columns) > _LARGEST_TABLE:
        unique, inverse = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
        return unique, inverse.reshape(-1)
    # Rows as numbers in base radix: marking those there are is much faster than sorting.
    weights = radix ** np.arange(len(columns) - 1, -1, -1, dtype=np.int64)
    numbers = np.zeros(len(columns[0]), dtype=np.int64)
    for column, weight in zip(columns, weights, strict=True):
        numbers += column * weight
    there = np.zeros(radix ** len(columns), dtype=bool)
    there[numbers] = True
    distinct = np.flatnonzero(there)
    place: Ints = np.empty(len(there), dtype=np.int32)
    place[distinct] = np.arange(len(distinct))
    return distinct[:, None] // weights % radix, place[numbers]


def _batches(smallest: Ints) -> list[slice]:
    """Slices of the rows (sorted by their smallest set) whose arrays stay small."""
    slices, begin = [], 0
    for end in range(1, len(smallest) + 1):
        full = end == len(smallest)
        if full or (end + 1 - begin) * (int(smallest[end]) + 1) ** 2 > _BATCH_ELEMENTS:
            slices.append(slice(begin, end))
            begin = end
    return slices


def _tail(population: int, sizes: Ints, shared: Ints) -> Floats:
    """As ``shared_p_values``, of sizes sorted along their rows."""
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

    The probability is written with falling factorials, ``C(i, j) n^(j) (N - n)^(i - j) / N^(i)``,
    as their logarithms stay small and keep all digits.
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
    """An upper bound of the chance that independent facts together share at least ``shared``.

    The intersection of random sets is a sum of independent indicators (its generating function
    has real roots only: a Schur-Szegö product), and so is the sum over facts. Above the mean plus
    one, the tail of such a sum is at most the binomial's (Hoeffding 1956, theorem 4), and that at
    most Poisson's (Anderson and Samuels 1967). Nearer to the mean, Markov's inequality is used.

    Args:
        shared: neurons shared, summed over the facts.
        expected: mean of that sum, from ``expected_shared``.
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
    """q-values: the share of false discoveries if each p at most this one counts as one.

    Source: Benjamini and Hochberg 1995. NaN stays NaN and does not count as a question.
    """
    q_values = np.full(len(p_values), np.nan)
    asked = np.flatnonzero(~np.isnan(p_values))
    order = asked[np.argsort(p_values[asked], kind="stable")]
    scaled = p_values[order] * len(order) / np.arange(1, len(order) + 1)
    q_values[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return q_values


def count_discoveries(p_values: Floats, level: float) -> int:
    """How many q-values of ``benjamini_hochberg`` are at most ``level``, without computing them."""
    ordered = np.sort(p_values[p_values <= level])
    passed = np.flatnonzero(ordered * len(p_values) <= level * np.arange(1, len(ordered) + 1))
    return int(passed[-1]) + 1 if passed.size else 0
