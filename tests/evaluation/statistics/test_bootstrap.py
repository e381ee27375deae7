"""Bootstrap intervals contain the truth as often as they promise."""

from __future__ import annotations

import numpy as np
import pytest

from kndb.evaluation.statistics.bootstrap import Floats, fact_sums, ratio_intervals


def mean_interval(values: Floats, seed: int, level: float = 0.95) -> tuple[float, float]:
    return ratio_interval(values, np.ones(len(values)), seed, level)


def ratio_interval(
    above: Floats, below: Floats, seed: int, level: float = 0.95
) -> tuple[float, float]:
    ((low, high),) = ratio_intervals(above[:, None], below[:, None], seed, 400, level).tolist()
    return low, high


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_of_means_hold_the_truth_as_often_as_they_say(level: float) -> None:
    generator = np.random.default_rng(10)
    ends = [mean_interval(generator.normal(1, 2, 100), seed, level) for seed in range(2000)]
    held = np.mean([low <= 1 <= high for low, high in ends])
    # Three standard errors for 2000 tries, plus the shortfall of percentile intervals at 100 facts.
    assert held == pytest.approx(level, abs=3 * (level * (1 - level) / 2000) ** 0.5 + 0.007)


def test_intervals_of_facts_measured_several_times_hold_the_truth_too() -> None:
    """Four equal languages a fact: intervals that resampled measurements would be half as wide."""
    generator = np.random.default_rng(1)
    facts = np.repeat(np.arange(50), 4)
    held, naive = [], []
    for seed in range(400):
        values = np.repeat(generator.normal(1, 1, 50), 4) + generator.normal(0, 0.1, 200)
        above, below = (fact_sums(x[:, None], facts)[:, 0] for x in (values, np.ones(200)))
        low, high = ratio_interval(above, below, seed)
        held.append(low <= 1 <= high)
        low, high = mean_interval(values, seed)
        naive.append(low <= 1 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)
    assert np.mean(naive) < 0.8


def test_intervals_of_ratios_of_either_sign() -> None:
    generator = np.random.default_rng(2)
    held = []
    for seed in range(400):
        below = generator.normal(-1, 0.3, 80)
        above = 3 * below + generator.normal(0, 0.5, 80)
        low, high = ratio_interval(above, below, seed)
        held.append(low <= 3 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_several_ratios_are_those_of_each_alone() -> None:
    generator = np.random.default_rng(3)
    above, below = generator.normal(size=(2, 30, 2))
    together = ratio_intervals(above, below, seed=5, replicates=400)
    for column in range(2):
        alone = ratio_interval(above[:, column], below[:, column], seed=5)
        assert together[column].tolist() == pytest.approx(alone)


def test_sums_by_fact() -> None:
    sums = fact_sums(np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]), np.array([7, 3, 7]))
    assert sums.tolist() == [[2, 20], [5, 50]]


def test_where_there_is_too_little() -> None:
    assert np.isnan(mean_interval(np.array([]), seed=0)).all()
    assert np.isnan(mean_interval(np.array([1.0]), seed=0)).all()
    assert np.isnan(ratio_interval(np.ones(3), np.zeros(3), seed=0)).all()
    assert mean_interval(np.array([2.0, 2.0]), seed=0) == (2, 2)


def test_one_fact_among_many_that_says_something_has_no_interval() -> None:
    above, below = np.array([[0.0, 1.0], [3.0, 2.0]]), np.array([[0.0, 1.0], [4.0, 1.0]])
    alone, several = ratio_intervals(above, below, seed=0, replicates=200)
    assert np.isnan(alone).all()
    assert several.tolist() == [1, 2]
