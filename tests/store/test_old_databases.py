"""What every earlier kndb wrote opens, upgrades, is sound and answers.

The databases were written by the kndb of their time; ``old_databases/make.py`` says how.
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

import kndb
from kndb.store.check import check_database
from kndb.store.database import connect, connect_as_it_is, revision
from kndb.store.describe import database_status
from kndb_migrations import HEAD, REVISIONS
from small_store import finished_run

FOLDER = Path(__file__).parent / "old_databases"
OLD = REVISIONS[:-1]
DAILY = (OLD[0], OLD[-1])
"""The first is upgraded by every migration."""


@dataclass(frozen=True)
class Old:
    """A database that an earlier kndb wrote, its rows at that time, and the upgraded file."""

    revision: str
    before: dict[str, list[Any]]
    path: Path


@pytest.fixture(
    scope="module",
    params=[pytest.param(r, marks=[] if r in DAILY else [pytest.mark.long]) for r in OLD],
)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Old:
    path = tmp_path_factory.mktemp("old") / "old.duckdb"
    path.write_bytes(gzip.decompress((FOLDER / f"v{request.param}.duckdb.gz").read_bytes()))
    with connect_as_it_is(path) as connection:
        assert revision(connection, path) == request.param
    before = contents(path)
    connect(path).close()
    return Old(request.param, before, path)


def contents(path: Path) -> dict[str, list[Any]]:
    """The rows of every table that is there, by the columns of that time."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {
            name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall()
            for (name,) in tables
            if name != "alembic_version"
        }


def test_there_is_one_for_every_earlier_revision() -> None:
    assert sorted(file.name for file in FOLDER.glob("*.gz")) == [f"v{r}.duckdb.gz" for r in OLD]


def test_it_is_upgraded_and_loses_nothing(old: Old) -> None:
    assert old.before["attribution"]
    assert ("edit" in old.before) == (old.revision >= "0004")
    assert database_status(old.path).revision == HEAD
    for table, rows in contents(old.path).items():
        before = old.before.get(table, [])
        if table == "knowledge_by_neuron":
            before = before or sorted(old.before["knowledge_neuron"])
        width = len(before[0]) if before else 0  # new columns come last
        assert [row[:width] for row in rows] == before, table
    assert check_database(old.path) == []


def test_it_answers(old: Old) -> None:
    with kndb.open(old.path) as database:
        (run,) = database.runs().to_dicts()
        assert (run["model"], run["status"], run["failed"]) == ("demo-masked", "finished", 0)
        found = database.query(relation="P36", top=3).to_dicts()
        assert {row["lang"] for row in found} == {"en", "zh"}
        again = database.query(relation="P36", top=3, tau=run["tau"]).to_dicts()
        assert [row["neuron"] for row in again] == [row["neuron"] for row in found]
        searched, edits = (
            database.sql(f"SELECT count(*) FROM {name}").rows()[0][0]
            for name in ("degenerate_fact", "edits")
        )
    assert (searched > 0) == (old.revision >= "0002")
    assert (edits > 0) == (old.revision >= "0004")


def test_it_takes_new_runs(old: Old, tmp_path: Path) -> None:
    path = tmp_path / "new.duckdb"
    shutil.copyfile(old.path, path)
    finished_run(path, seed=1)
    with kndb.open(path) as database:
        assert len(database.runs()) == 2
    assert check_database(path) == []
