"""Localisation against whole hooked runs of the Transformers model, and on planted knowledge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kndb.errors import NotFound, UsageError
from kndb.evaluation import localisation
from kndb.evaluation.effects import FACTORS, MEASURES, changes, measure, specificity
from kndb.evaluation.localisation import METHODS, LocalisationRequest, columns, pick
from kndb.evaluation.methods import SCORING
from kndb.evaluation.table import Table
from kndb.models import ModelChoice
from kndb.neurons import Neuron
from kndb.store.database import connect
from kndb.store.prompts import StoredPrompt
from neuron_runs import PLANTED, loaded, make_run, probability
from same_rows import close
from saved_models import saved

Run = tuple[Path, Path]
WANTED = {"suppress": -1, "enhance": 1}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("bert"), "tiny-bert")


@pytest.fixture(scope="module")
def table(bert: Run) -> Table:
    return localisation.evaluate(LocalisationRequest(*map_run(bert), replicates=200))


def map_run(run: Run) -> tuple[Path, ModelChoice]:
    return run[0], ModelChoice(str(run[1]))


def dicts(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("name", ["tiny-bert", pytest.param("tiny-gpt2", marks=pytest.mark.long)])
def test_measures_are_those_of_hooked_models(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = make_run(tmp_path_factory.mktemp("hooked"), name)
    model, facts = loaded(LocalisationRequest(*map_run(run)))
    fact = facts["P36:Q17/en"]
    others = [facts["P37:Q183/en"].prompts[0], facts["P38:Q29/en"].prompts[0]]
    (chosen,) = pick(model, [fact], SCORING, LocalisationRequest(*map_run(run)))
    found = measure(model, fact.prompts, others, list(chosen.values()))
    for e, (effect, factor) in enumerate(FACTORS.items()):
        for m, neurons in enumerate(chosen.values()):
            expected = naive(run[1], list(fact.prompts), others, neurons, factor, WANTED[effect])
            assert found[e, m] == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert np.abs(found).max() > 0.1


def naive(
    folder: Path,
    own: list[StoredPrompt],
    others: list[StoredPrompt],
    neurons: Any,
    factor: float,
    wanted: int,
) -> list[float]:
    """The measures, one prompt and one whole run at a time."""
    pairs = [
        (
            probability(folder, prompt.text, prompt.answer),
            probability(folder, prompt.text, prompt.answer, neurons, factor),
        )
        for prompt in (*own, *others)
    ]
    kinds = {
        "relative": [(after - before) / before for before, after in pairs],
        "absolute": [after - before for before, after in pairs],
        "log": [float(np.log(after / before)) for before, after in pairs],
    }
    n = len(own)
    measures = [
        float(np.mean(part)) for values in kinds.values() for part in (values[:n], values[n:])
    ]
    hit = max(wanted * measures[0], 0)
    spread = float(np.mean(np.abs(kinds["relative"][n:])))
    return [*measures, float(wanted * measures[2] < 0), hit / (hit + spread)]


def test_planted_knowledge_has_the_full_effect_and_no_other(tmp_path: Path) -> None:
    run = make_run(tmp_path, "planted", ["en"])
    model, facts = loaded(LocalisationRequest(*map_run(run)))
    fact = replace(facts["P36:Q142/en"], neurons=(PLANTED,))
    others = [facts["P37:Q183/en"].prompts[0], facts["P38:Q29/en"].prompts[0]]
    (prompt,) = fact.prompts
    before = probability(run[1], prompt.text, prompt.answer)
    without = probability(run[1], prompt.text, prompt.answer, [PLANTED])
    assert before > 5 * without
    (chosen,) = pick(model, [fact], SCORING, LocalisationRequest(*map_run(run)))
    found = measure(model, fact.prompts, others, list(chosen.values()))
    at = {name: place for place, name in enumerate(MEASURES)}
    # Not amig-code: left sums along this bent path give the neuron a negative score.
    for method in ("knowledge", "amig", "amig-paper", "ig-zero"):
        down = found[0, METHODS.index(method)]
        assert down[at["related_absolute"]] == pytest.approx(without - before, rel=1e-4)
        assert down[at["unrelated_relative"]] == pytest.approx(0, abs=0.02)
        assert down[at["wrong_sign"]] == 0
        assert down[at["specificity"]] > 0.95
    other = measure(model, fact.prompts, others, [(Neuron(1, 16),), (Neuron(2, 17),)])[0]
    assert np.abs(other[:, at["related_relative"]]).max() < 0.02


def test_the_table(table: Table) -> None:
    rows = dicts(table)
    places = [("all", "all"), *((r, lang) for r in ("P36", "P37", "P38") for lang in ("de", "en"))]
    keys = [(row["relation"], row["lang"], row["effect"], row["method"]) for row in rows]
    assert keys == [
        (*p, effect, method) for p in places for effect in FACTORS for method in METHODS
    ]
    assert list(table.columns) == columns()
    assert len({row["n_neurons"] for row in rows[: 2 * len(METHODS)]}) == 1
    assert (rows[0]["n_facts"], rows[0]["n_cases"]) == (4, 8)
    for row in rows[: 2 * len(METHODS)]:
        for name in (*MEASURES, "success"):
            assert row[f"{name}_low"] <= row[f"{name}_high"]
        for name in MEASURES:
            assert row[f"{name}_low"] - 1e-9 <= row[name] <= row[f"{name}_high"] + 1e-9
        assert 0 <= row["specificity"] <= 1
        ratio = row["related_relative"] / row["unrelated_relative"]
        assert row["success"] == pytest.approx(ratio)
    # The whole is the mean over cases: two capitals, a language and a currency in two languages.
    whole, *parts = (r for r in rows if (r["effect"], r["method"]) == ("suppress", "amig"))
    mean = sum(part["n_cases"] * part["related_log"] for part in parts) / 8
    assert whole["related_log"] == pytest.approx(mean)
    assert table.settings["model"] == "tiny-bert"
    assert table.settings["unrelated"] == 6
    assert any("fewer than 6 unrelated facts: 2" in note for note in table.notes)


@pytest.mark.long
def test_it_is_the_same_again(bert: Run, table: Table) -> None:
    request = LocalisationRequest(*map_run(bert), replicates=200)
    told: list[tuple[int, int]] = []
    again = localisation.evaluate(request, lambda done, total: told.append((done, total)))
    assert close(again.rows, table.rows, 1e-9)
    assert told == [(n, 8) for n in range(9)]


def test_a_single_relation_has_no_unrelated_facts(bert: Run, tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    path.write_bytes(bert[0].read_bytes())
    with connect(path, write=True) as connection:
        connection.execute(
            "DELETE FROM prediction WHERE prompt_id IN (SELECT prompt_id FROM prompt JOIN fact "
            "USING (fact_id) WHERE relation_id != 'P36')"
        )
    found = localisation.evaluate(
        LocalisationRequest(path, ModelChoice(str(bert[1])), replicates=100)
    )
    assert {row["relation"] for row in dicts(found)} == {"all", "P36"}
    for row in dicts(found):
        assert np.isfinite(row["related_relative"])
        assert np.isnan([row["unrelated_log"], row["success"], row["specificity"]]).all()
    assert any("has no unrelated facts" in note for note in found.notes)


def test_what_makes_no_sense(bert: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="At least 1 unrelated fact"):
        LocalisationRequest(*map_run(bert), unrelated=0)
    other = saved("other-bert")
    with pytest.raises(
        NotFound, match="no finished run of the model other-bert with these weights"
    ):
        localisation.evaluate(LocalisationRequest(bert[0], ModelChoice(str(other))))


def test_changes_of_probabilities_that_are_zero() -> None:
    found = changes(np.array([0.0, 0.5]), np.array([[0.25, 0.0], [0.0, 1.0]]))
    assert found.absolute.tolist() == [[0.25, 0.0], [-0.5, 0.5]]
    assert np.isnan(found.relative[0]).all()
    assert found.relative[1].tolist() == [-1, 1]
    assert np.isfinite(found.log).all()
    assert found.log[1, 1] == pytest.approx(np.log(2))


def test_specificity_is_a_share() -> None:
    related = np.array([-0.3, 0.3, 0.0, -0.3, 0.0, np.nan])
    others = np.array([0.1, 0.1, 0.1, 0.0, 0.0, 0.1])
    found = specificity(related, others, wanted=-1)
    np.testing.assert_allclose(found, [0.75, 0, 0, 1, 0, np.nan])
    np.testing.assert_allclose(specificity(-related, others, wanted=1), found)
