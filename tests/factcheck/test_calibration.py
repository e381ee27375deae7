"""Calibration sees no test fact, and the resulting check gives its reasons."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import kndb
from kndb.attribution import engine, preset
from kndb.errors import NotFound, UsageError
from kndb.evaluation.factcheck import METHODS as EVALUATED
from kndb.evaluation.factcheck import EvaluationRequest, as_columns, claims_to_judge, evaluate
from kndb.factcheck import METHODS, FactChecker
from kndb.factcheck.calibration import CalibrationRequest, calibrate
from kndb.factcheck.calibration_rows import Calibration
from kndb.factcheck.claims import Claim
from kndb.factcheck.labelled_claims import WrongAnswers, labelled, parse_split, split_of
from kndb.factcheck.scoring import ClaimPrompt, read
from kndb.factcheck.spelling import same
from kndb.models import LanguageModel, ModelChoice
from kndb.store.prompts import RelationLang, read_prompts
from overflowing import overflowing
from same_rows import close


def test_splits_are_of_the_stated_sizes_and_of_no_other_fact() -> None:
    keys = [f"P{i % 7}:Q{i}" for i in range(3000)]
    found = [split_of(key, (60, 20, 20), 0) for key in keys]
    assert [round(found.count(name) / 3000, 1) for name in ("train", "validation", "test")] == [
        0.6,
        0.2,
        0.2,
    ]
    assert found != [split_of(key, (60, 20, 20), 1) for key in keys]


@pytest.mark.parametrize("text", ["60/40", "60/20/21", "a/b/c", "100/0/0"])
def test_what_is_no_split(text: str) -> None:
    with pytest.raises(UsageError):
        parse_split(text)


def test_no_fact_is_in_two_splits(searched: Path, calibration: Calibration) -> None:
    with duckdb.connect(str(searched), read_only=True) as connection:
        rows = connection.execute("SELECT fact_key, count(*) FROM factcheck_split GROUP BY ALL")
        counts = dict(rows.fetchall())
        keys = connection.execute("SELECT DISTINCT fact_key FROM fact").fetchall()
    assert counts == {key: 1 for (key,) in keys}
    assert set(calibration.splits.values()) == {"train", "validation", "test"}


def test_wrong_answers_are_wrong_and_of_the_relation(
    searched: Path, calibration: Calibration
) -> None:
    prompts = read_prompts(searched, calibration.run_id)
    true = {(prompt.fact_key, same(prompt.answer)) for prompt in prompts}
    known = {(prompt.relation_lang, same(prompt.answer)) for prompt in prompts}
    claims = list(labelled(prompts, WrongAnswers(prompts, prompts, 0), 3))
    assert len(claims) == 4 * len(prompts)
    for claim in claims:
        assert ((claim.prompt.fact_key, same(claim.answer)) in true) == claim.truth
        assert (claim.prompt.relation_lang, same(claim.answer)) in known


def test_another_true_object_of_the_subject_is_never_drawn(
    searched: Path, calibration: Calibration
) -> None:
    prompts = read_prompts(searched, calibration.run_id)
    first, other, *rest = {prompt.fact_key: prompt for prompt in prompts}.values()
    second = replace(first, object_id=other.object_id, template="[X] [Y]", answer=other.answer)
    pool = [first, second, other]
    assert WrongAnswers([*pool, *rest], [*pool, *rest], 0).draw(first, 100)
    assert WrongAnswers(pool, pool, 0).draw(first, 1) == []
    assert WrongAnswers([first, other], [first, other], 0).draw(first, 1) == [other.answer]


def chosen(found: Calibration) -> list[tuple[object, ...]]:
    """The thresholds, as values to compare."""
    return [(t.relation_lang, t.method, t.threshold, t.low, t.high, t.f1) for t in found.thresholds]


@pytest.mark.long
def test_thresholds_do_not_move_when_test_facts_change(
    searched: Path, calibration: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "changed.duckdb"
    shutil.copy(searched, path)
    of_test = (
        "(SELECT fact_id FROM fact JOIN factcheck_split USING (fact_key) WHERE split = 'test')"
    )
    with duckdb.connect(str(path)) as connection:
        for sql in (
            f"UPDATE prompt SET answer = 'Paris' WHERE fact_id IN {of_test}",
            f"UPDATE fact SET object_id = 'Q0' WHERE fact_id IN {of_test}",
            f"UPDATE knowledge_neuron SET neuron = 0 WHERE fact_id IN {of_test}",
            f"UPDATE degenerate_set SET is_degenerate = true, kind = 'degenerate' "
            f"WHERE fact_id IN {of_test}",
        ):
            (changed,) = connection.execute(sql).fetchall()[0]
            assert changed or "degenerate_set" in sql
    again = calibrate(CalibrationRequest(path, ModelChoice("demo-masked")))
    assert again.neurons == calibration.neurons
    assert close(chosen(again), chosen(calibration))
    with duckdb.connect(str(path)) as connection:
        (n,) = connection.execute("SELECT count(*) FROM factcheck_calibration").fetchall()[0]
    assert n == 1  # made again, it takes the old one's place


@pytest.mark.long
def test_a_calibration_in_processes_is_that_of_one_process(
    searched: Path, calibration: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "several.duckdb"
    shutil.copy(searched, path)
    found = calibrate(CalibrationRequest(path, ModelChoice("demo-masked"), devices=("cpu", "cpu")))
    assert close(chosen(found), chosen(calibration))


def test_evaluation_is_on_test_facts_only(searched: Path, calibration: Calibration) -> None:
    settings = '{"seed": 0, "wrong": 1}'
    claims = claims_to_judge(searched, calibration.run_id, dict(calibration.splits), settings)
    assert claims
    assert {calibration.splits[claim.prompt.fact_key] for claim in claims} == {"test"}
    rows = evaluate(EvaluationRequest(searched, ModelChoice("demo-masked"), replicates=100))
    every = {row.method: row for row in rows if row.relation == "all"}
    assert tuple(every) == EVALUATED
    truth = every["everything-true"].values
    assert (truth["precision"], truth["recall"], truth["auroc"]) == (0.5, 1.0, 0.5)
    assert every["first-choice"].values["f1"] > 0.9  # the demo model knows its facts
    assert truth["f1"] == pytest.approx(2 / 3)
    assert every["everything-true"].answered == 1
    for row in rows:
        assert 0 <= row.answered <= 1
        for name, (low, high) in row.intervals.items():
            assert low <= row.values[name] + 1e-9, (row.method, name)
            assert high >= row.values[name] - 1e-9, (row.method, name)


@pytest.mark.long
def test_processes_evaluate_as_one_does(
    searched: Path, calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kndb.factcheck.scoring.REPORTED", 8)
    request = EvaluationRequest(searched, ModelChoice("demo-masked"), replicates=100)
    told: list[tuple[int, int]] = []
    several = evaluate(
        replace(request, devices=("cpu", "cpu")), lambda done, total: told.append((done, total))
    )
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 8  # more than one piece of work
    assert close(as_columns(several)[1], as_columns(evaluate(request))[1], 1e-6)


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=[] if m == "degenerate" else [pytest.mark.long]) for m in METHODS],
)
def test_every_method_tells_true_from_false(
    searched: Path, calibration: Calibration, model: LanguageModel[Any], method: str
) -> None:
    prompts = read_prompts(searched, calibration.run_id)
    claims = list(labelled(prompts[::4], WrongAnswers(prompts, prompts, 5), 1))
    checker = FactChecker(searched, model, method=method, band=False)
    texts = [claim.prompt.text.replace("[MASK]", claim.answer) for claim in claims]
    verdicts = list(checker.check(texts))
    assert [verdict.claim for verdict in verdicts] == texts
    right = [
        (verdict.verdict == "true") == claim.truth
        for verdict, claim in zip(verdicts, claims, strict=True)
        if verdict.verdict != "unknown"
    ]
    assert len(right) > 0.4 * len(claims)
    assert sum(right) > (0.95 if method == "probability" else 0.6) * len(right)
    for verdict in verdicts:
        assert (verdict.reason is None) == (verdict.verdict != "unknown")


def test_scores_within_the_band_are_unknown(
    searched: Path, calibration: Calibration, model: LanguageModel[Any]
) -> None:
    prompts = read_prompts(searched, calibration.run_id)
    texts = [prompt.text.replace("[MASK]", prompt.answer) for prompt in prompts[::3]]
    careful = list(FactChecker(searched, model, method="knowledge").check(texts))
    limits = FactChecker(searched, model, method="knowledge").calibration.limits
    for verdict in careful:
        assert verdict.lang is not None
        assert verdict.score is not None
        limit = limits[RelationLang("P36", verdict.lang), "knowledge"]
        close = limit.low <= verdict.score < limit.high
        assert (verdict.verdict == "unknown") == close
        assert verdict.reason == ("too close to the threshold" if close else None)


def test_the_neurons_that_decided_make_the_score(
    searched: Path, calibration: Calibration, model: LanguageModel[Any]
) -> None:
    checker = FactChecker(searched, model, method="knowledge", explain=True)
    (text, *_) = [
        p.text.replace("[MASK]", p.answer) for p in read_prompts(searched, calibration.run_id)
    ]
    (verdict,) = checker.check([text])
    assert verdict.neurons == len(verdict.decided)
    mean = sum(score for _, score in verdict.decided) / len(verdict.decided)
    assert verdict.score == pytest.approx(mean, rel=1e-3)
    assert verdict.p_best is not None
    assert verdict.p_claim is not None
    assert verdict.p_claim <= verdict.p_best


def test_answers_the_model_cannot_say(
    searched: Path, calibration: Calibration, model: LanguageModel[Any]
) -> None:
    prompt = read_prompts(searched, calibration.run_id)[0]
    checker = FactChecker(searched, model, method="probability")
    (verdict,) = checker.check([prompt.text.replace("[MASK]", "Zyxqwv")])
    assert (verdict.verdict, verdict.reason) == ("unknown", "the answer has unknown tokens")


def test_without_a_calibration(tmp_path: Path, model: LanguageModel[Any]) -> None:
    from small_store import finished_run

    path = tmp_path / "k.duckdb"
    finished_run(path)
    for method in ("degenerate", "knowledge", "ensemble"):
        with pytest.raises(NotFound, match="kndb factcheck calibrate"):
            FactChecker(path, model, method=method)
    with pytest.raises(NotFound, match="no run '0x'"):
        FactChecker(path, model, run="0x")
    with pytest.raises(UsageError, match="choose from auto"):
        FactChecker(path, model, method="magic")


def test_thresholds_that_call_everything_true_are_counted(calibration: Calibration) -> None:
    first, *rest = (chosen for chosen in calibration.thresholds if chosen.method == "probability")
    assert calibration.useless("probability") == []  # the demo model knows its facts
    lowest = replace(first, threshold=float(first.curve.thresholds[0]))
    assert replace(calibration, thresholds=(lowest, *rest)).useless("probability") == [lowest]
    for chosen in calibration.useless("degenerate"):
        assert chosen.accuracy == 0.5
        assert chosen.f1 == pytest.approx(2 / 3)


def test_a_claim_whose_numbers_are_not_finite_is_unknown(
    searched: Path, model: LanguageModel[Any]
) -> None:
    with kndb.open(searched) as database:
        rows = database.sql(
            "SELECT fact_key, answer FROM facts WHERE lang = 'en' AND relation = 'capital' "
            "ORDER BY fact_key"
        ).rows()
    (key, answer), *_ = rows
    checker = FactChecker(searched, model, lang="en", band=False)
    (sound,) = checker.check_fact(key, answer)
    assert sound.score is not None
    (claim,) = checker.index.about(key, answer, "en")
    assert isinstance(claim, Claim)
    token = model.targets(claim.prompts[0], answer)[0].tokens[1]
    with overflowing(model, token):
        (broken,) = checker.check_fact(key, answer)
    assert (broken.verdict, broken.score, broken.p_claim) == ("unknown", None, None)
    assert "the activations of layer 0 are not finite for the prompt" in str(broken.reason)


def test_scores_that_are_not_finite_are_no_reading(
    model: LanguageModel[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probability may be fine where the gradients are not."""
    failing = "the scores of layer 1 are not finite"
    monkeypatch.setattr(engine, "_problems", lambda neurons, owners, scores: [failing])
    prompt = ClaimPrompt("The capital of France is [MASK] .", "Paris", {"k": np.array([1])})
    (found,) = read(model, [prompt], preset("amig", "masked_lm"))
    assert found == f"{failing} for the prompt {prompt.text!r}"
