"""Names of runs: given, found, changed, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import kndb
from kndb.errors import NotFound, UsageError
from kndb.store.naming import name_run
from small_store import finished_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "k.duckdb"


def test_a_run_is_found_by_its_name_until_it_has_another(path: Path) -> None:
    one, other = finished_run(path), finished_run(path, factor=0.5, half=True)
    assert name_run(path, str(one)[:12], "base line") == one
    assert name_run(path, other, "half") == other
    with kndb.open(path) as db:
        assert {row["run_id"] for row in db.query(run="base line").to_dicts()} == {one}
        assert db.diff("half", "base line").one.run_id == other
        assert {row["run_id"]: row["name"] for row in db.runs().to_dicts()} == {
            one: "base line",
            other: "half",
        }
    assert name_run(path, "base line", "first") == one
    with kndb.open(path) as db, pytest.raises(NotFound) as missing:
        db.query(run="base line")
    assert f"{one} (first: tiny on facts, amig)" in missing.value.nearest


def test_a_name_is_taken_away(path: Path) -> None:
    run_id = finished_run(path)
    name_run(path, run_id, "x")
    name_run(path, "x", None)
    with kndb.open(path) as db, pytest.raises(NotFound):
        db.query(run="x")


def test_two_runs_cannot_have_the_same_name(path: Path) -> None:
    one, other = finished_run(path), finished_run(path, factor=0.5, half=True)
    name_run(path, one, "x")
    assert name_run(path, one, "x") == one
    with pytest.raises(UsageError, match="already called 'x'"):
        name_run(path, other, "x")


@pytest.mark.parametrize("name", ["", " ", "123", "a\nb", "\x1b[31m", "\udcff", "x" * 61, " x"])
def test_a_name_that_no_run_can_have(path: Path, name: str) -> None:
    run_id = finished_run(path)
    with pytest.raises(UsageError):
        name_run(path, run_id, name)
