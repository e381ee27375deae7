"""The tables about languages, on planted neurons and edits, against figures worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kndb.errors import NotFound, UsageError
from kndb.evaluation.crosslingual import tables as crosslingual
from kndb.evaluation.statistics.per_fact import mean_of
from kndb.evaluation.stored import StoredRequest
from kndb.evaluation.table import Table
from kndb.facts import Fact, Prompt
from kndb.graph.overlap import overlap
from kndb.store import ids
from kndb.store.edits import Ledger
from planted_store import MODEL, POPULATION, plant
from small_store import Dataset, Model, finished_run

FACTS = {
    "P36:Q1": {
        "en": [(0, 1), (0, 2), (2, 9)],
        "fr": [(0, 2), (2, 9), (1, 1)],
        "zh": [(2, 9), (1, 1), (0, 2), (1, 5)],
    },
    "P36:Q2": {"en": [(0, 1)], "fr": [(0, 1)], "zh": [(0, 3)]},
    "P36:Q3": {"en": [(0, 7)], "fr": [], "zh": [(0, 7)]},
    "P38:Q4": {"en": [(0, 7), (1, 7)], "zh": [(0, 7), (1, 7)]},
    "P38:Q5": {"zh": [(0, 7)]},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crosslingual") / "k.duckdb"
    plant(path, FACTS)
    return path


@pytest.fixture(scope="module")
def tables(path: Path) -> dict[str, Table]:
    found = crosslingual.evaluate(StoredRequest(path, replicates=200))
    assert [table.name for table in found] == [f"crosslingual-{name}" for name in TABLES]
    return {table.name.removeprefix("crosslingual-"): table for table in found}


TABLES = crosslingual.TABLES


def rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_pairs_are_the_means_of_what_is_planted(tables: dict[str, Table]) -> None:
    by_langs = {row["langs"]: row for row in rows(tables["pairs"])}
    assert list(by_langs) == ["en,fr", "en,zh", "fr,zh", "all"]
    row = by_langs["en,zh"]
    # Q1 has 3 and 4 and shares 2; Q2 1 and 1 and none; Q3 1, 1, 1; Q4 2, 2, 2.
    assert (row["n_facts"], row["size"], row["shared"]) == (4, (7 + 8) / 8, 5 / 4)
    assert row["jaccard"] == 5 / 10
    expected = (3 * 4 + 1 + 1 + 2 * 2) / POPULATION
    assert row["expected"] == pytest.approx(expected / 4)
    assert row["ratio"] == pytest.approx(5 / expected)
    assert row["shared_low"] <= row["shared"] <= row["shared_high"]
    assert 0 <= row["jaccard_low"] <= row["jaccard"] <= row["jaccard_high"] <= 1
    # All: each fact over its own languages; Q5 has one only.
    every = by_langs["all"]
    assert (every["n_facts"], every["shared"]) == (4, (2 + 0 + 0 + 2) / 4)
    assert every["jaccard"] == 4 / (5 + 2 + 1 + 2)


def test_pairs_and_relations_agree_with_the_overlap_command(
    path: Path, tables: dict[str, Table]
) -> None:
    listed = {row["langs"]: row for row in overlap(path, "language-pair", store=False).to_dicts()}
    for row in rows(tables["pairs"])[:-1]:
        known = listed[row["langs"]]
        n = known["n_facts"]
        assert row["n_facts"] == n
        assert row["shared"] * n == pytest.approx(known["n_shared"])
        assert row["expected"] * n == pytest.approx(known["expected"])
        assert row["jaccard"] == pytest.approx(known["jaccard"])
        assert row["significant"] * n == pytest.approx(known["n_significant"])
    by_relation = overlap(path, "relation", store=False).to_dicts()
    for row, known in zip(rows(tables["relations"]), by_relation, strict=True):
        n = known["n_facts"]
        assert (row["relation"], row["n_facts"]) == (known["relation"], n)
        assert row["shared"] * n == pytest.approx(known["n_shared"])
        assert row["significant"] * n == pytest.approx(known["n_significant"])
        assert row["shared_by_facts"] == known["shared_by_facts"]


def test_languages(tables: dict[str, Table]) -> None:
    by_lang = {row["lang"]: row for row in rows(tables["languages"])}
    french, chinese = by_lang["fr"], by_lang["zh"]
    assert (french["n_facts"], french["n_without"], french["size"]) == (3, 1, 4 / 3)
    # French: Q1 0:2 and 2:9 in all, 1:1 in zh too; Q2's 0:1 in en too.
    assert (french["in_another"], french["in_all"]) == (1.0, 2 / 4)
    # Chinese, without the fact that has no other language: 8 neurons of 4 facts.
    assert (chinese["n_facts"], chinese["size"]) == (5, 9 / 5)
    assert (chinese["in_another"], chinese["in_all"]) == (6 / 8, 4 / 8)


def test_layers_of_independent_and_of_all_neurons(tables: dict[str, Table]) -> None:
    found = rows(tables["layers"])
    # Independent: Q1 0:2 and 2:9, Q4 0:7 and 1:7. All: Q1 0:1 0:2 2:9 1:1 1:5, Q2 0:1 0:3,
    # Q3 0:7, Q4 0:7 1:7.
    assert [row["n_independent"] for row in found] == [2, 1, 1]
    assert [row["n_knowledge"] for row in found] == [6, 3, 1]
    assert [row["independent_share"] for row in found] == [0.5, 0.25, 0.25]
    assert [row["knowledge_share"] for row in found] == [0.6, 0.3, 0.1]
    assert [row["of_layer"] for row in found] == [2 / 6, 1 / 3, 1.0]


def test_what_is_not_there_is_said(tables: dict[str, Table], tmp_path: Path) -> None:
    for name in ("edits", "edit-languages"):
        assert not tables[name].rows
        assert "`kndb edit" in tables[name].notes[0]
    lonely = tmp_path / "one.duckdb"
    plant(lonely, {"P36:Q1": {"en": [(0, 1)]}, "P36:Q2": {"en": [(0, 2)]}})
    found = {table.name: table for table in crosslingual.evaluate(StoredRequest(lonely))}
    for name in ("pairs", "relations", "layers"):
        assert not found[f"crosslingual-{name}"].rows
        assert "only one language" in found[f"crosslingual-{name}"].notes[0]
    assert rows(found["crosslingual-languages"])[0]["size"] == 1


def test_settings_say_what_was_evaluated(path: Path, tables: dict[str, Table]) -> None:
    for table in tables.values():
        assert table.settings["model"] == MODEL.name
        assert (table.settings["tau"], table.settings["share"]) == (0.2, 0.5)
        assert table.settings["replicates"] == 200
    again = crosslingual.evaluate(StoredRequest(path, replicates=200))
    assert [str(table.rows) for table in again] == [str(table.rows) for table in tables.values()]


EDITS = [  # fact, mode, selection, status, transfer, its control
    ("P36:Q1", "update", "sequential", "active", 1.0, 0.0),
    ("P36:Q1", "update", "sequential", "undone", 0.5, 0.5),
    ("P36:Q2", "update", "sequential", "active", 0.0, None),
    ("P36:Q3", "update", "sequential", "skipped", None, None),
    ("P36:Q1", "erase", "0:1,2:9", "active", None, None),
]


OTHER_FACTS = [  # of the first edit: fact, part, unchanged by it; all are changed by the control
    ("P36:Q2", "same-relation", True),
    ("P36:Q3", "same-relation", False),
    ("P38:Q1", "same-type", True),
]


@pytest.fixture
def edited(path: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "edited.duckdb"
    copy.write_bytes(path.read_bytes())
    (run,) = {table.settings["run"] for table in crosslingual.evaluate(StoredRequest(path))}
    Ledger(copy).append(
        [_edit(number, run, *edit) for number, edit in enumerate(EDITS)],
        [],
        [
            _measure(number, kind, key, lang, part, success)
            for number, key, own, others in ((0, "P36:Q1", True, [True, False]),)
            for kind, won in (("edit", [own, *others]), ("control", [False] * 3))
            for lang, part, success in zip(
                ("en", "fr", "zh"), ("own", "language", "language"), won, strict=True
            )
        ]
        + [
            _measure(0, kind, key, "en", part, success and kind == "edit")
            for kind in ("edit", "control")
            for key, part, success in OTHER_FACTS
        ],
    )
    return copy


def _edit(
    number: int,
    run: int,
    key: str,
    mode: str,
    selection: str,
    status: str,
    transfer: float | None,
    control: float | None,
) -> dict[str, Any]:
    fact = ids.fact_id(ids.dataset_id(Dataset.sha256), _fact(key))
    empty = ("target", "target_object_id", "strength", "reason", "delta")
    shares = ("reliability", "generality", "locality", "harmonic")
    return {
        "edit_id": number,
        "run_id": run,
        "fact_id": fact,
        "mode": mode,
        "selection": selection,
        "lang": "en",
        "langs": "en",
        "settings": "{}",
        "status": status,
        "n_neurons": 1,
        "transfer": transfer,
        "control_transfer": control,
        "weights_sha256": "ab",
        "perplexity_before": None,
        "perplexity_after": None,
        **dict.fromkeys(empty),
        **dict.fromkeys(shares),
        **dict.fromkeys(f"control_{name}" for name in shares),
    }


def _measure(
    number: int, kind: str, key: str, lang: str, part: str, success: bool
) -> dict[str, Any]:
    prompt = Prompt(_fact(key), lang, "[X] [Y]", key, "answer")
    return {
        "edit_id": number,
        "kind": kind,
        "prompt_id": ids.prompt_id(ids.dataset_id(Dataset.sha256), prompt),
        "part": part,
        "new_answer": "x",
        "p_old_before": 0.9,
        "p_old_after": 0.1,
        "p_new_before": 0.1,
        "p_new_after": 0.9,
        "first_before": "a",
        "first_after": "x",
        "changed": True,
        "success": success,
    }


def _fact(key: str) -> Fact:
    relation, _, subject = key.partition(":")
    return Fact(relation, subject, "Q0")


def test_edits_are_summed_up_by_mode_and_selection(edited: Path) -> None:
    found = {table.name: table for table in crosslingual.evaluate(StoredRequest(edited))}
    listed = {
        (row["mode"], row["selection"], row["measure"]): row
        for row in rows(found["crosslingual-edits"])
    }
    row = listed["update", "sequential", "transfer"]
    assert (row["n_facts"], row["n_edits"], row["n_skipped"]) == (2, 3, 1)
    assert row["value"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert (row["control"], row["difference"]) == (0.25, 0.5)  # of the two that have both
    near = listed["update", "sequential", "unchanged: same relation"]
    assert (near["value"], near["control"]) == (0.5, 0.0)
    assert listed["update", "sequential", "unchanged: same type of object"]["value"] == 1.0
    assert np.isnan(listed["update", "sequential", "unchanged: other"]["value"])
    named = listed["erase", "named neurons", "transfer"]
    assert named["n_edits"] == 1
    assert np.isnan(named["value"])


def test_edits_by_language(edited: Path) -> None:
    found = {table.name: table for table in crosslingual.evaluate(StoredRequest(edited))}
    table = rows(found["crosslingual-edit-languages"])
    assert [(row["lang"], row["measured_in"], row["prompts"], row["value"]) for row in table] == [
        ("en", "en", "own", 1.0),
        ("en", "fr", "language", 1.0),
        ("en", "zh", "language", 0.0),
    ]
    assert {row["control"] for row in table} == {0.0}


def test_which_run(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    newer = finished_run(path, seed=1)
    finished_run(path, Model(name="other", weights_sha256="ef" * 32))
    with pytest.raises(UsageError, match=r"Runs of 2 models match.*other, tiny"):
        crosslingual.evaluate(StoredRequest(path))
    for request in (StoredRequest(path, "tiny"), StoredRequest(path, run=str(newer))):
        assert crosslingual.evaluate(request)[0].settings["run"] == newer
    with pytest.raises(NotFound, match="no model"):
        crosslingual.evaluate(StoredRequest(path, "absent"))


def test_a_mean_is_over_values_and_its_interval_draws_facts() -> None:
    values, facts = [1.0, 1.0, 1.0, 0.0, None], [1, 1, 1, 2, 2]
    mean, low, high = mean_of(values, facts, seed=0, replicates=2000)
    # With two facts, one in four draws has fact 2 twice, and one in four fact 1 twice.
    assert (mean, low, high) == (0.75, 0.0, 1.0)
    one = mean_of([1.0, 0.0], [7, 7], seed=0, replicates=100)
    assert one[0] == 0.5
    assert np.isnan(one[1:]).all()
    assert np.isnan(mean_of([None], [1], seed=0, replicates=100)).all()
    assert np.isnan(mean_of([], [], seed=0, replicates=100)).all()
