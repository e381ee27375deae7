"""Deleting a run takes all that is its own, leaves all else, and frees the space."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

import kndb
from kndb.errors import UsageError
from kndb.store.check import check_database
from kndb.store.database import connect, transaction
from kndb.store.deletion import delete_run, rows_of_run
from kndb.store.describe import database_status
from kndb.store.directions import add_directions
from kndb.store.rewriting import compact
from kndb.store.writer import Writer
from small_store import Model, attributions, begin, finished_run, predictions

OTHER = Model(name="other", weights_sha256="ef" * 32)


def rows(path: Path, run_id: int) -> list[object]:
    with kndb.open(path) as database:
        tables = ("run", "prediction", "attribution", "knowledge_neuron")
        return [database.sql(f"FROM {table} WHERE run_id = ?", [run_id]).rows() for table in tables]


def test_one_run_goes_and_the_other_stays(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    kept = finished_run(path)
    gone = finished_run(path, OTHER, seed=1)
    before = rows(path, kept)
    assert rows_of_run(path, gone) == {
        "run": 1,
        "model": 1,
        "knowledge_neuron": 8,
        "knowledge_by_neuron": 8,
        "prediction": 8,
        "attribution": 14,
        "word_attribution": 2,
    }
    assert delete_run(path, gone)
    assert rows(path, kept) == before
    assert rows(path, gone) == [[], [], [], []]
    assert check_database(path) == []
    assert database_status(path).rows["prompt"] == 8
    assert os.listdir(tmp_path) == ["k.duckdb"]


def test_directions_go_with_the_last_run_of_their_model(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    first, second = finished_run(path), finished_run(path, seed=1)
    rows = [{"layer": 0, "neuron": 1, "rank": 1, "token": "a", "logit": 0.5}]
    add_directions(path, first, pa.Table.from_pylist(rows))
    assert "neuron_direction" not in rows_of_run(path, first)
    delete_run(path, first)
    assert rows_of_run(path, second)["neuron_direction"] == 1
    delete_run(path, second)
    assert not database_status(path).rows["neuron_direction"]


def test_with_the_last_run_its_data_go(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    run_id = finished_run(path)
    assert rows_of_run(path, run_id) == {
        **{"run": 1, "model": 1, "dataset": 1, "fact": 5, "relation": 2, "prompt": 8},
        **{
            "knowledge_neuron": 8,
            "knowledge_by_neuron": 8,
            "prediction": 8,
            "attribution": 14,
            "word_attribution": 2,
        },
    }
    delete_run(path, run_id)
    assert not any(database_status(path).rows.values())
    assert finished_run(path, seed=2) != run_id
    assert check_database(path) == []


def test_everything_that_belongs_to_a_run_has_rows_to_delete(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with connect(path) as connection:
        own = connection.execute(
            "SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal AND column_name "
            "IN ('run_id', 'search_id', 'calibration_id', 'edit_id') "
            "AND table_name IN (SELECT table_name FROM duckdb_tables())"
        ).fetchall()
    from kndb.store.deletion import _OWN

    assert {table for (table,) in own} <= _OWN.keys()


def test_the_file_shrinks_and_keeps_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    kept, writer = finished_run(path), Writer(path)
    run = begin(writer, OTHER)
    many = list(range(250_000))
    scores = attributions([(key, 0, key % 8, (key * 7919 % 1000) / 1000) for key in many])
    writer.append(run.run_id, predictions(many), scores)
    with connect(path) as connection:
        comments = connection.execute("SELECT comment FROM duckdb_columns() ORDER BY ALL")
        before, size = comments.fetchall(), path.stat().st_size
    path.chmod(0o640)
    writer.mark(run.run_id, "interrupted")
    assert delete_run(path, run.run_id)
    assert path.stat().st_size < size * 0.8
    assert path.stat().st_mode & 0o777 == 0o640
    with connect(path) as connection:
        comments = connection.execute("SELECT comment FROM duckdb_columns() ORDER BY ALL")
        assert comments.fetchall() == before
    with kndb.open(path) as database:
        assert database.runs().to_dicts()[0]["run_id"] == kept


def test_a_run_that_a_process_works_on_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    run = begin(Writer(path))  # this process
    with pytest.raises(UsageError, match="A process is working on run"):
        delete_run(path, run.run_id)
    Writer(path).mark(run.run_id, "interrupted")
    delete_run(path, run.run_id)


def test_a_file_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    inode = path.stat().st_ino
    with transaction(path):
        assert not compact(path)
    log = path.with_name("k.duckdb.wal")
    log.touch()
    assert not compact(path)
    log.unlink()
    assert path.stat().st_ino == inode
    assert compact(path)
    assert path.stat().st_ino != inode
    assert os.listdir(tmp_path) == ["k.duckdb"]
