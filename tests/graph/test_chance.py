"""Probabilities of shared neurons, checked against SciPy and against full enumeration."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from kndb.graph.chance import (
    benjamini_hochberg,
    count_discoveries,
    expected_shared,
    pooled_p_value,
    shared_p_values,
)


@pytest.mark.parametrize("population", [10, 1536, 36864, 5_000_000])
def test_two_sets_follow_scipys_hypergeometric(population: int) -> None:
    rng = np.random.default_rng(population)
    sizes = rng.integers(0, min(population, 60), (300, 2))
    shared = np.array([rng.integers(0, min(pair) + 1) for pair in sizes])
    expected = stats.hypergeom.sf(shared - 1, population, sizes[:, 0], sizes[:, 1])
    found = shared_p_values(population, sizes, shared)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-300)
    drawn = sizes[np.all(sizes > 0, axis=1)]  # SciPy warns about empty sets
    mean = stats.hypergeom.mean(population, drawn[:, 0], drawn[:, 1])
    np.testing.assert_allclose(expected_shared(population, drawn), mean)


def test_large_sets_follow_scipy() -> None:
    sizes = np.array([[700, 900], [1536, 1400], [1536, 1536]])
    shared = np.array([450, 1400, 1536])
    expected = stats.hypergeom.sf(shared - 1, 1536, sizes[:, 0], sizes[:, 1])
    np.testing.assert_allclose(shared_p_values(1536, sizes, shared), expected, rtol=1e-8)


@pytest.mark.parametrize("sizes", [(2, 3, 4), (3, 3, 3), (1, 5, 4, 2), (0, 3, 3)])
def test_more_sets_agree_with_counting_every_possibility(sizes: tuple[int, ...]) -> None:
    population = 5
    families = [list(map(set, combinations(range(population), size))) for size in sizes]
    overlaps = [len(set.intersection(*sets)) for sets in product(*families)]
    shared = np.arange(max(overlaps) + 1)
    expected = [np.mean([found >= at_least for found in overlaps]) for at_least in shared]
    rows = np.tile(sizes, (len(shared), 1))
    np.testing.assert_allclose(shared_p_values(population, rows, shared), expected, rtol=1e-12)
    np.testing.assert_allclose(expected_shared(population, rows), np.mean(overlaps), rtol=1e-12)


@pytest.mark.parametrize(("sets", "largest"), [(3, 40), (5, 60), (12, 60)])
def test_the_order_of_sets_and_rows_does_not_matter(sets: int, largest: int) -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(0, largest, (300, sets))
    shared = np.array([rng.integers(0, min(row) + 1) for row in sizes])
    found = shared_p_values(200, sizes, shared)
    one_by_one = [
        shared_p_values(200, row[None, ::-1], np.array([count]))[0]
        for row, count in zip(sizes, shared, strict=True)
    ]
    np.testing.assert_allclose(found, one_by_one, rtol=1e-12)


def test_the_pooled_p_value_is_never_below_the_exact_one() -> None:
    population, sizes = 300, np.array([[10, 12], [30, 8], [5, 5], [20, 25]])
    exact = np.array([1.0])
    for a, b in sizes:
        exact = np.convolve(exact, stats.hypergeom.pmf(np.arange(a + 1), population, a, b))
    expected = float(expected_shared(population, sizes).sum())
    bounds = [pooled_p_value(shared, expected) for shared in range(25)]
    tails = np.array([exact[shared:].sum() for shared in range(25)])
    assert np.all(np.array(bounds) >= tails * (1 - 1e-12))
    assert all(bound < 20 * tail for bound, tail in zip(bounds[4:10], tails[4:10], strict=True))
    assert bounds == sorted(bounds, reverse=True)
    assert pooled_p_value(6, 2.0) == pytest.approx(stats.poisson.sf(5, 2.0), rel=1e-12)
    assert pooled_p_value(3, 0.0) == 0.0


def test_q_values_are_scipys() -> None:
    p_values = np.random.default_rng(1).random(200) ** 3
    p_values[10:20] = p_values[10]  # ties
    expected = stats.false_discovery_control(p_values, method="bh")
    np.testing.assert_allclose(benjamini_hochberg(p_values), expected, rtol=1e-12)


@pytest.mark.parametrize("level", [1e-9, 0.01, 0.05, 0.3, 1.0])
def test_discoveries_are_the_q_values_up_to_the_level(level: float) -> None:
    p_values = np.random.default_rng(2).random(300) ** 4
    q_values = stats.false_discovery_control(p_values, method="bh")
    assert count_discoveries(p_values, level) == (q_values <= level).sum()


def test_what_was_not_asked_has_no_q_value_and_does_not_count() -> None:
    p_values = np.array([0.01, np.nan, 0.04])
    np.testing.assert_allclose(benjamini_hochberg(p_values), [0.02, np.nan, 0.04])
    assert len(benjamini_hochberg(np.array([]))) == 0
