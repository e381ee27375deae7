"""The ledger has a page, and so has each edit: what every prompt's answer was before and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kndb.store import ids
from kndb.store.edits import Ledger
from serving import client_of
from small_store import DATASET_ID, FRANCE, PROMPT_IDS, finished_run

EDIT = 1234567890123456789


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    path: Path = tmp_path_factory.mktemp("edits") / "k.duckdb"
    run_id = finished_run(path)
    edit = {
        "edit_id": EDIT,
        "run_id": run_id,
        "fact_id": ids.fact_id(DATASET_ID, FRANCE),
        "mode": "update",
        "selection": "sequential",
        "lang": "en",
        "langs": "en,zh",
        "target": "Lyon",
        "settings": "{}",
        "status": "active",
        "n_neurons": 2,
        "reliability": 0.75,
        "weights_sha256": "",
    }
    measure = {
        "edit_id": EDIT,
        "kind": "edit",
        "prompt_id": PROMPT_IDS[0],
        "part": "own",
        "new_answer": "Lyon",
        "p_old_before": 0.5,
        "p_old_after": 0.125,
        "p_new_before": 0.25,
        "p_new_after": 0.625,
        "first_before": "Paris",
        "first_after": "Lyon",
        "changed": True,
        "success": True,
    }
    Ledger(path).append([edit], [], [measure])
    return client_of(path)


def test_the_ledger_leads_to_each_edit(client: TestClient) -> None:
    (row,) = client.get("/edits.json").json()["tables"]["edits"]["rows"]
    assert (row["edit_id"], row["target"]) == (str(EDIT), "Lyon")
    assert f'href="/edit/{EDIT}"' in client.get("/edits").text


@pytest.mark.parametrize("key", [str(EDIT), "12345"])
def test_an_edit_is_shown_before_and_after(key: str, client: TestClient) -> None:
    tables = client.get(f"/edit/{key}.json").json()["tables"]
    (row,) = tables["prompts"]["rows"]
    assert (row["first_before"], row["first_after"]) == ("Paris", "Lyon")
    assert (row["p_new_before"], row["p_new_after"]) == (0.25, 0.625)
    shares = {each["measure"]: each["share"] for each in tables["measures"]["rows"]}
    assert (shares["reliability"], shares["locality"]) == (0.75, None)
    assert "France: update" in client.get(f"/edit/{key}").text


def test_a_fact_has_its_edits(client: TestClient) -> None:
    edits = client.get("/fact/P36:Q142.json").json()["tables"]["edits"]["rows"]
    assert [row["edit_id"] for row in edits] == [str(EDIT)]
    assert client.get("/fact/P38:Q142.json").json()["tables"]["edits"]["rows"] == []
