"""The tables about degenerate neurons, on planted searches, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kndb.degenerate.rows import FACTS, MEMBERS, SETS, SUBSETS
from kndb.evaluation import degenerate
from kndb.evaluation.stored import StoredRequest
from kndb.evaluation.table import Table
from kndb.facts import Fact
from kndb.store import ids
from kndb.store.searches import SearchWriter
from planted_store import plant
from small_store import Dataset

NEURONS = {
    "P36:Q1": {"en": [(0, 1), (1, 2), (2, 3)], "fr": [(0, 1), (1, 2)]},
    "P36:Q2": {"en": [(0, 4), (1, 5)]},
    "P38:Q3": {"en": [(2, 6)]},
}
SEARCHED = [  # fact, language, tried, found, control, control found, status
    ("P36:Q1", "en", 3, 2, 3, 1, "done"),
    ("P36:Q1", "fr", 1, 0, 1, 0, "done"),
    ("P36:Q2", "en", 1, 0, 1, 0, "done"),
    ("P38:Q3", "en", 0, 0, 0, 0, "skipped"),
]
FOUND = [  # kind, neurons, drop, drops of the parts, whether it meets the criterion
    ("degenerate", [(0, 1), (1, 2)], 0.50, [0.1, 0.2], True),
    ("degenerate", [(1, 2), (2, 3)], 0.30, [0.0, 0.1], True),
    ("control", [(0, 8), (1, 8)], 0.26, [0.0, 0.0], True),
    ("control", [(1, 8), (2, 8)], 0.02, [0.0, 0.01], False),
]


def fact_id(key: str) -> int:
    relation, _, subject = key.partition(":")
    return ids.fact_id(ids.dataset_id(Dataset.sha256), Fact(relation, subject, "Q0"))


def search(path: Path, run: int, status: str = "finished") -> None:
    """Write the search: all sets are of the first fact in English."""
    writer = SearchWriter(path, run, {"t_low": 0.2, "t_high": 0.25})
    writer.begin()
    head = {"search_id": writer.search_id}
    facts = [
        head
        | {"fact_id": fact_id(key), "lang": lang, "n_neurons": 3, "n_tried": tried}
        | {"n_found": found, "n_control": control, "n_control_found": control_found}
        | {"status": state, "reason": None}
        for key, lang, tried, found, control, control_found, state in SEARCHED
    ]
    sets = [head | {"run_id": run, "set_id": at} | _set(*row) for at, row in enumerate(FOUND)]
    members = [
        head | {"set_id": at, "layer": layer, "neuron": neuron}
        for at, (_, neurons, *_) in enumerate(FOUND)
        for layer, neuron in neurons
    ]
    subsets = [
        head | {"set_id": at, "members": str(part), "drop": drop}
        for at, (*_, drops, _) in enumerate(FOUND)
        for part, drop in enumerate(drops)
    ]
    tables = zip((facts, sets, members, subsets), (FACTS, SETS, MEMBERS, SUBSETS), strict=True)
    writer.append(*(pa.Table.from_pylist(rows, schema=schema) for rows, schema in tables))
    writer.mark(status)


def _set(
    kind: str, neurons: Sequence[Any], drop: float, drops: Sequence[float], meets: bool
) -> dict[str, Any]:
    return {
        "fact_id": fact_id("P36:Q1"),
        "lang": "en",
        "kind": kind,
        "size": len(neurons),
        "drop_share": drop,
        "max_subset_drop": max(drops),
        "is_degenerate": meets,
        "p_before": 0.8,
        "p_after": 0.8 * (1 - drop),
    }


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    path = tmp_path_factory.mktemp("degenerate") / "k.duckdb"
    search(path, plant(path, NEURONS))
    found = degenerate.evaluate(StoredRequest(path, replicates=200))
    return {table.name: table for table in found}


def rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_rates(tables: dict[str, Table]) -> None:
    found = {(row["relation_id"], row["lang"]): row for row in rows(tables["degenerate-rates"])}
    assert list(found)[:3] == [("all", "all"), ("all", "en"), ("all", "fr")]
    every = found["all", "all"]
    assert (every["n_facts"], every["n_searched"], every["n_skipped"]) == (2, 3, 1)
    assert every["carriers"] == pytest.approx(1 / 3)
    assert (every["n_tried"], every["n_found"], every["rate"]) == (5, 2, 2 / 5)
    assert (every["n_control_found"], every["control_rate"]) == (1, 1 / 5)
    assert every["ratio"] == pytest.approx(2)
    assert every["rate_low"] <= every["rate"] <= every["rate_high"]
    english = found["P36", "en"]
    assert (english["relation"], english["n_searched"], english["rate"]) == ("capital", 2, 2 / 4)
    skipped = found["P38", "en"]
    assert (skipped["n_searched"], skipped["n_skipped"]) == (0, 1)
    assert np.isnan([skipped["carriers"], skipped["rate"]]).all()


def test_drops_of_sets_and_of_their_parts(tables: dict[str, Table]) -> None:
    (row,) = rows(tables["degenerate-sizes"])
    assert (row["size"], row["n_facts"], row["n_sets"], row["n_control_found"]) == (2, 1, 2, 1)
    assert row["drop"] == pytest.approx(0.40)
    assert row["max_subset_drop"] == pytest.approx(0.15)
    assert row["mean_subset_drop"] == pytest.approx(0.10)
    assert row["control_drop"] == pytest.approx(0.14)


def test_layers(tables: dict[str, Table]) -> None:
    found = rows(tables["degenerate-layers"])
    assert [row["n_degenerate"] for row in found] == [1, 1, 1]  # 1:2 is in both sets
    assert [row["n_knowledge"] for row in found] == [3, 3, 1]  # of what was searched
    assert [row["of_layer"] for row in found] == [1 / 3, 1 / 3, 1.0]


def test_settings_are_those_of_the_search(tables: dict[str, Table]) -> None:
    for table in tables.values():
        assert table.settings["search"] == {"t_low": 0.2, "t_high": 0.25}


@pytest.mark.parametrize("status", [None, "interrupted"])
def test_without_a_finished_search_there_is_a_note(tmp_path: Path, status: str | None) -> None:
    path = tmp_path / "k.duckdb"
    run = plant(path, NEURONS)
    if status:
        search(path, run, status)
    found = degenerate.evaluate(StoredRequest(path))
    assert [table.name for table in found] == [f"degenerate-{name}" for name in degenerate.TABLES]
    for table in found:
        assert not table.rows
        assert "`kndb graph degenerate` makes one" in table.notes[0]
