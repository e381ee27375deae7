"""The metrics are scikit-learn's, and the intervals cover at the rate they state."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from kndb.evaluation.statistics.metrics import Judged, intervals, measure
from kndb.factcheck.curves import best_threshold, curve_of


def random_part(seed: int, n: int = 200, ties: bool = False) -> Judged:
    generator = np.random.default_rng(seed)
    truth = generator.random(n) < 0.4
    scores = generator.normal(size=n) + truth
    if ties:
        scores = scores.round()
    return Judged(truth, scores >= 0.5, scores, np.arange(n) // 4)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_scikit_learn(seed: int, swapped: bool, ties: bool) -> None:
    part = random_part(seed, ties=ties)
    if swapped:
        part = Judged(~part.truth, ~part.held, -part.scores, part.facts)
    found = measure([part])
    assert found["precision"] == pytest.approx(precision_score(part.truth, part.held))
    assert found["recall"] == pytest.approx(recall_score(part.truth, part.held))
    assert found["precision"] != pytest.approx(found["recall"])
    assert found["f1"] == pytest.approx(f1_score(part.truth, part.held))
    assert found["accuracy"] == pytest.approx(accuracy_score(part.truth, part.held))
    assert found["auroc"] == pytest.approx(roc_auc_score(part.truth, part.scores))


def test_nothing_held_true() -> None:
    part = random_part(0)
    nothing = Judged(part.truth, np.zeros_like(part.held), part.scores, part.facts)
    found = measure([nothing])
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


def test_one_class_has_no_auroc() -> None:
    part = Judged(np.ones(3, bool), np.ones(3, bool), np.arange(3.0), np.arange(3))
    assert np.isnan(measure([part])["auroc"])


def test_auroc_compares_within_parts_only() -> None:
    one, other = random_part(1), random_part(2)
    shifted = Judged(other.truth, other.held, other.scores + 100, other.facts)
    assert measure([one, shifted]) == pytest.approx(measure([one, other]))


@pytest.mark.parametrize("objective", ["f1", "accuracy"])
@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_is_better_than_the_chosen_one(seed: int, objective: str) -> None:
    part = random_part(seed, ties=True)
    curve = curve_of(part.scores, part.truth)
    at = best_threshold(curve, objective)
    score = f1_score if objective == "f1" else accuracy_score
    _, _, every = roc_curve(part.truth, part.scores, drop_intermediate=False)
    best = max(score(part.truth, part.scores >= t) for t in every[1:])
    assert score(part.truth, part.scores >= curve.thresholds[at]) == pytest.approx(best)
    assert max(getattr(curve, objective)) == pytest.approx(best)


def test_a_curve_counts_what_its_thresholds_let_pass() -> None:
    part = random_part(3, ties=True)
    curve = curve_of(part.scores, part.truth)
    for threshold, true, false in zip(
        curve.thresholds, curve.true_above, curve.false_above, strict=True
    ):
        held = part.scores >= threshold
        assert (true, false) == ((held & part.truth).sum(), (held & ~part.truth).sum())
    assert curve.rank(part.scores.max()) == pytest.approx((part.scores < part.scores.max()).mean())


def test_intervals_cover_at_the_stated_rate() -> None:
    """Facts share a mood, so claims about one are alike: resampling claims would be too narrow."""

    def draw(generator: np.random.Generator, n_facts: int) -> Judged:
        facts = np.repeat(np.arange(n_facts), 4)
        truth = np.tile([True, False, True, False], n_facts)
        mood = generator.normal(size=n_facts)[facts]
        scores = np.where(truth, 1.0, -1.0) * (0.7 + mood) + generator.normal(size=len(facts))
        return Judged(truth, scores >= 0, scores, facts)

    generator = np.random.default_rng(0)
    truths = measure([draw(generator, 20_000)])
    trials = 200
    covered = dict.fromkeys(truths, 0)
    for trial in range(trials):
        for name, (low, high) in intervals([draw(generator, 60)], trial, 300).items():
            covered[name] += low <= truths[name] <= high
    # 95 % of 200, less three standard errors and the shortfall of percentile intervals at 60 facts.
    for name, n in covered.items():
        assert 0.89 <= n / trials <= 0.99, (name, n)


def test_one_fact_has_no_interval() -> None:
    one = Judged(
        np.array([True, False]), np.array([True, True]), np.array([2.0, 1.0]), np.array([3, 3])
    )
    assert np.isnan(list(intervals([one, one], 0, 100).values())).all()
