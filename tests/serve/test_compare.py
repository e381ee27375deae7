"""Two runs side by side, against the difference that the library finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import kndb
from serving import client_of
from small_store import Model, finished_run


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, int]:
    """Two runs of a model; a third one, of another size."""
    path = tmp_path_factory.mktemp("compare") / "k.duckdb"
    first = finished_run(path)
    second = finished_run(path, factor=0.5, seed=1)
    finished_run(path, Model("wide", n_neurons=16, weights_sha256="12" * 32))
    return path, first, second


@pytest.fixture(scope="module")
def client(two: tuple[Path, int, int]) -> Iterator[TestClient]:
    with client_of(two[0]) as made:
        yield made


def test_the_counts_are_those_of_the_library(
    client: TestClient, two: tuple[Path, int, int]
) -> None:
    path, first, second = two
    page = client.get(f"/compare.json?a={first}&b={second}").json()
    with kndb.open(path) as db:
        by_fact = {row["fact_key"]: row for row in db.diff(first, second, "fact").rows.to_dicts()}
        total = db.diff(first, second).total
        ours = {(row["layer"], row["neuron"]) for row in db.neurons(run=first).to_dicts()}
    assert page["facts"]["in both"] == total["n_shared"]
    rows = {row["fact_key"]: row for row in page["tables"]["facts"]["rows"]}
    assert rows == by_fact
    counts = {
        row["is a knowledge neuron"]: row["neurons"] for row in page["tables"]["neurons"]["rows"]
    }
    assert counts == {
        "in both": len(ours),
        "only in first": 0,
        "only in second": 0,
        "in neither": 2 * 8 - len(ours),
    }


def test_charts_show_every_layer(client: TestClient, two: tuple[Path, int, int]) -> None:
    page = client.get(f"/compare?a={two[1]}&b={two[2]}").text
    assert page.count("<title>layer 0: ") == page.count("<title>layer 1: ") == 2
    assert "differ by up to 0.5 of a prompt" in page
    assert "weights differ" not in page


def test_other_weights_are_said(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    finished_run(path, Model("other", weights_sha256="12" * 32))
    with client_of(path) as client:
        assert "weights differ" in client.get("/compare").text


def test_two_runs_of_one_size_are_taken_where_none_is_asked_for(
    client: TestClient, two: tuple[Path, int, int]
) -> None:
    title = client.get("/compare.json").json()["title"]
    assert title == "tiny, amig and tiny, amig"


def test_runs_that_cannot_be_compared_are_refused(
    client: TestClient, two: tuple[Path, int, int], tmp_path: Path
) -> None:
    same = client.get(f"/compare.json?a={two[1]}&b={two[1]}")
    assert (same.status_code, "both mean the run" in same.text) == (400, True)
    alone = tmp_path / "alone.duckdb"
    finished_run(alone)
    with client_of(alone) as other:
        answer = other.get("/compare")
        assert answer.status_code == 200
        assert "ingest the facts with another model or preset" in answer.text
