"""Claims on a page, with the demo model: the verdicts are the library's."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import kndb
from demo_index import MODEL, demo_index
from kndb.factcheck import FactChecker
from kndb_serve import judge as judging
from kndb_serve.judge import Judge
from serving import client_of


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_index(tmp_path_factory).database


@pytest.fixture(scope="module")
def judge(database: Path) -> Judge:
    return Judge(database, MODEL.load())


@pytest.fixture(scope="module")
def client(database: Path, judge: Judge) -> Iterator[TestClient]:
    with client_of(database, judge=judge) as made:
        yield made


CLAIMS = ("The capital of Benin is Porto-Novo.", "The capital of Benin is Lima.", "It rains.")


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_verdict_is_that_of_the_fact_check(
    claim: str, client: TestClient, database: Path, judge: Judge
) -> None:
    (expected,) = FactChecker(database, judge.model, explain=True).check([claim])
    page = client.get("/claims.json", params={"claim": claim}).json()
    (row,) = page["tables"]["verdict"]["rows"]
    assert row["verdict"] == expected.verdict
    assert row["score"] == (None if expected.score is None else pytest.approx(expected.score))
    assert row["reason"] == expected.reason
    neurons = {one["neuron"]: one["attribution"] for one in page["tables"]["neurons"]["rows"]}
    assert neurons == {str(one): pytest.approx(score) for one, score in expected.decided}


def test_a_claim_in_chinese_is_only_looked_for_there(client: TestClient) -> None:
    claim = {"claim": CLAIMS[0], "lang": "zh"}
    (row,) = client.get("/claims.json", params=claim).json()["tables"]["verdict"]["rows"]
    assert row["verdict"] == "unknown"


def test_the_page_has_a_form_and_its_neurons_link_to_the_model_s_run(
    client: TestClient, database: Path
) -> None:
    assert 'name="claim"' in client.get("/claims").text
    page = client.get("/claims", params={"claim": CLAIMS[0]}).text
    assert f'value="{CLAIMS[0]}"' in page
    assert "The model&#39;s own first choice is" in page
    with kndb.open(database) as db:
        (run,) = db.stored_runs()
    assert page.count(f"?run={run.run_id}") == page.count('href="/neuron/')


def test_a_server_without_a_model_does_not_load_torch() -> None:
    code = "import sys, kndb_serve.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_busy_model_is_not_waited_for(
    client: TestClient, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "PATIENCE", 0.01)
    lock: threading.Lock = judge._free
    with lock:
        answer = client.get("/claims.json", params={"claim": CLAIMS[0]})
    assert (answer.status_code, "other claims" in answer.text) == (503, True)


def test_without_a_model_there_is_no_such_page(database: Path) -> None:
    with client_of(database) as client:
        assert client.get("/claims").status_code == 404
