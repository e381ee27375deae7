"""Without a calibration, a claim is true if no other answer of its relation is likelier."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from statistics import fmean
from typing import Any

import duckdb
import pytest

from kndb.factcheck import FactChecker
from kndb.factcheck.calibrated import Calibrated, Limit, uncalibrated
from kndb.factcheck.candidates import MOST, Candidates, likeliest, to_beat
from kndb.factcheck.claims import Claim, Index
from kndb.factcheck.rules import best_method, rule_for
from kndb.models import LanguageModel
from kndb.models.asking import Asker
from kndb.models.tokens import Unusable
from kndb.store.prompts import RelationLang

CAPITAL = RelationLang("P36", "en")


@pytest.fixture(scope="module")
def bare(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database without its calibration."""
    path = tmp_path_factory.mktemp("bare") / "bare.duckdb"
    shutil.copyfile(searched, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM factcheck_calibration")
    return path


def test_the_verdict_is_that_of_a_loop_over_the_candidates(
    bare: Path, model: LanguageModel[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with duckdb.connect(str(bare), read_only=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT fact_key, answer FROM prompt JOIN fact USING (fact_id) "
            "WHERE lang = 'en' ORDER BY ALL"
        ).fetchall()
    labels = [label for _, label in rows]
    assert len(labels) <= MOST
    checker = FactChecker(bare, model, lang="en")
    asker = Asker(model)

    @cache
    def p(prompt: str, label: str) -> float:
        (answer,) = asker.ask([(prompt, label)])
        assert not isinstance(answer, str)
        return prod(answer.p_tokens)

    asked = [(key, label) for key, own in rows[:2] for label in (own, labels[-1])]
    with caplog.at_level(logging.INFO, "kndb"):
        verdicts = [checker.check_fact(*one)[0] for one in asked]
    for verdict, (key, label) in zip(verdicts, asked, strict=True):
        (claim,) = checker.index.about(key, label, "en")
        assert isinstance(claim, Claim)
        others = [other for other in labels if other != label]
        threshold = max(fmean(p(prompt, other) for prompt in claim.prompts) for other in others)
        assert verdict.score is not None
        assert verdict.threshold == pytest.approx(threshold, rel=1e-4)
        assert verdict.verdict == ("true" if verdict.score >= threshold else "false")
        assert (verdict.method, verdict.f1, verdict.neurons) == ("probability", None, 0)
    assert {verdict.verdict for verdict in verdicts} == {"true", "false"}
    assert [record.message for record in caplog.records] == [
        "not calibrated: a claim is true if no other answer of the relation is likelier"
    ]


def planted(n: int) -> Index:
    index = Index()
    index._add_names(("P36", f"P36:Q{i}", "en", f"Land {i}", f"Town {i}") for i in range(n))
    return index


def claim(answer: str, key: str = "P36:Q7") -> Claim:
    return Claim("", key, *CAPITAL, ("The capital of [MASK] .",), answer)


def test_the_candidates_are_a_sample_with_the_stored_answer() -> None:
    candidates = Candidates(planted(100))
    found = candidates.of(claim("town 3."))
    assert (len(found), len(set(found)), found[0]) == (MOST, MOST, "Town 7")
    assert "Town 3" not in found
    assert Candidates(planted(100)).of(claim("Town 3")) == found
    assert Candidates(planted(100), seed=1).of(claim("Town 3")) != found
    own = candidates.of(claim("Town 7"))
    assert len(own) == MOST
    assert "Town 7" not in own
    drawn = candidates.of(claim(found[5]))
    assert len(drawn) == MOST
    assert set(found) - set(drawn) == {found[5]}


def test_other_facts_do_not_move_the_sample() -> None:
    few, more = (Candidates(planted(n)).of(claim("Town 3")) for n in (100, 110))
    assert [label for label in more if label in few] == few[: len(set(more) & set(few))]


def test_a_relation_with_one_answer_has_no_candidate(bare: Path, model: LanguageModel[Any]) -> None:
    checker = FactChecker(bare, model, lang="en")
    key = next(key for key, lang in checker.index.names if lang == "en")
    (answer,) = checker.index.stored[key, "en"]
    checker.candidates = Candidates(Index())
    (verdict,) = checker.check_fact(key, answer)
    assert (verdict.verdict, verdict.method) == ("unknown", "probability")
    assert verdict.reason == "no other answer of the relation to compare with"


def test_candidates_that_cannot_be_asked_set_no_threshold() -> None:
    found = likeliest(["Paris", "Rome"], ["unknown tokens", "unknown tokens"], 1, [0])
    assert (found, to_beat(found)) == ((), None)


def limits(**f1: float) -> dict[tuple[RelationLang, str], Limit]:
    return {(CAPITAL, method): Limit(0.5, 0.5, 0.5, value) for method, value in f1.items()}


def test_the_best_method_has_the_highest_f1(model: LanguageModel[Any]) -> None:
    def best(**f1: float) -> str:
        return best_method(replace(uncalibrated(model), limits=limits(**f1)), CAPITAL)

    assert best(degenerate=0.7, probability=0.9, ensemble=0.8, random=1.0) == "probability"
    assert best(probability=0.9, knowledge=0.9, degenerate=0.9) == "degenerate"
    assert best(knowledge=0.7) == "knowledge"
    assert best() == "probability"


def test_without_a_threshold_only_probability_has_a_rule(model: LanguageModel[Any]) -> None:
    empty: Calibrated = uncalibrated(model)
    assert "no degenerate neurons" in str(rule_for(empty, CAPITAL, "degenerate"))
    for method in ("auto", "probability"):
        rule = rule_for(empty, CAPITAL, method)
        assert not isinstance(rule, str)
        assert (rule.method, rule.limit, rule.neurons) == ("probability", None, {})


def test_a_claim_that_cannot_be_asked_is_asked_in_the_facts_other_words() -> None:
    """A causal model can only be asked where the object is last."""

    class Causal:
        def targets(self, text: str, answer: str) -> list[str]:
            if not text.endswith("[MASK] ."):
                raise Unusable("the object is not last")
            return [answer]

    checker = FactChecker.__new__(FactChecker)
    checker.model = Causal()  # type: ignore[assignment]
    last, first = "The capital of Benin is [MASK] .", "[MASK] is the capital of Benin ."
    own = Claim("", "P36:Q962", *CAPITAL, (first,), "Kigali", (last,))
    asked = checker._askable(own)
    assert isinstance(asked, Claim)
    assert asked.prompts == (last,)
    assert checker._askable(replace(own, others=())) == replace(own, others=())
    assert checker._askable(replace(own, prompts=(last,))) == replace(own, prompts=(last,))
