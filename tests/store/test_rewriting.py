"""Sorting a file: no row changes, and rows that a query needs lie together."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from kndb.errors import DatabaseError, KndbError
from kndb.store.check import check_database
from kndb.store.database import connect, transaction
from kndb.store.rewriting import SORTED, optimize
from small_store import finished_run


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with connect(path) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {
            table: connection.execute(f"FROM {table} ORDER BY ALL").fetchall()
            for (table,) in tables
        }


def shuffled(path: Path) -> None:
    """The tables in an order that no writer makes."""
    with duckdb.connect(str(path)) as connection:
        for table in SORTED:
            connection.execute(f"CREATE TEMP TABLE old_{table} AS FROM {table}")
            connection.execute(f"TRUNCATE {table}")
            connection.execute(
                f"INSERT INTO {table} BY NAME FROM old_{table} ORDER BY hash(old_{table})"
            )


def test_every_table_is_sorted_and_no_row_changed(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    shuffled(path)
    before = rows(path)
    sizes = optimize(path)
    assert sizes[1] == path.stat().st_size
    assert rows(path) == before
    with connect(path) as connection:
        for table, order in SORTED.items():
            ordered = connection.execute(f"FROM {table} ORDER BY {order}").fetchall()
            assert connection.execute(f"FROM {table}").fetchall() == ordered, table
    assert [file.name for file in tmp_path.iterdir()] == ["k.duckdb"]


def test_a_changed_second_copy_of_the_neurons_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    before = rows(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE knowledge_by_neuron SET score = 9, layer = 0")
    ((table, problem),) = check_database(path)
    assert table == "knowledge_by_neuron"
    assert "kndb db optimize" in problem
    optimize(path)
    assert not check_database(path)
    assert rows(path) == before


def test_progress_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    told: list[tuple[int, int]] = []
    optimize(path, report=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] > 0


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """To the program it is like a full disk."""
    import resource  # Windows has none

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("room", [50_000, 500_000], ids=["for the tables", "for the rows"])
def test_a_full_disk_is_a_sentence_about_the_file_which_is_as_it_was(
    tmp_path: Path, room: int
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    before = path.read_bytes()
    with largest_file(room), pytest.raises(KndbError) as caught:
        optimize(path)
    message = r".*/k\.duckdb cannot be rewritten: .* folder: File too large; .* make room, .*"
    assert re.fullmatch(message, str(caught.value))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["k.duckdb"]


def test_a_file_that_took_its_place_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    """As when two processes sort it, and a third writes into the first one's file."""
    path, other = tmp_path / "k.duckdb", tmp_path / "other.duckdb"
    finished_run(path)
    shutil.copyfile(path, other)
    inode = other.stat().st_ino

    def replace(done: int, total: int) -> None:
        if other.exists():
            other.replace(path)

    with pytest.raises(DatabaseError, match="being written; run the same command again"):
        optimize(path, report=replace)
    assert path.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["k.duckdb"]


def test_a_file_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    inode = path.stat().st_ino
    with transaction(path), pytest.raises(KndbError):
        optimize(path, wait=0.0)
    assert path.stat().st_ino == inode
