"""A backup is whole and of one moment, and never in anyone's way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import pytest

import kndb
from kndb.errors import DatabaseError, DatabaseLocked, DatabaseMissing, UsageError
from kndb.store.backup import backup
from kndb.store.check import check_database
from kndb.store.database import connect
from small_store import finished_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    return path


def test_a_copy_while_another_reads(path: Path, tmp_path: Path) -> None:
    before, target = path.read_bytes(), tmp_path / "copy.duckdb"
    with kndb.open(path) as database:
        assert backup(path, target) == target.stat().st_size
        assert len(database.query()) == 8
    assert path.read_bytes() == before
    assert check_database(target) == []
    with kndb.open(target) as database:
        assert len(database.query()) == 8
    assert sorted(os.listdir(tmp_path)) == ["copy.duckdb", "k.duckdb"]


def test_what_a_killed_writer_left_in_its_log_is_in_the_copy(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE relation SET label = 'logged'")
        for end in ("", ".wal"):  # as they lie there when the process is killed now
            shutil.copyfile(f"{path}{end}", f"{left}{end}")
    assert Path(f"{left}.wal").stat().st_size
    backup(left, tmp_path / "copy.duckdb")
    assert not (tmp_path / "copy.duckdb.wal").exists()
    assert Path(f"{left}.wal").exists()
    with connect(tmp_path / "copy.duckdb") as connection:
        labels = connection.execute("SELECT DISTINCT label FROM relation").fetchall()
    assert labels == [("logged",)]


def test_no_file_is_overwritten(path: Path, tmp_path: Path) -> None:
    for target in (path, tmp_path / "there"):
        target.touch()
        before = target.read_bytes()
        with pytest.raises(UsageError, match="exists already"):
            backup(path, target)
        assert target.read_bytes() == before
    with pytest.raises(UsageError, match="There is no folder"):
        backup(path, tmp_path / "none" / "copy.duckdb")


def test_without_a_database_there_is_no_copy(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing):
        backup(tmp_path / "none.duckdb", tmp_path / "copy.duckdb")
    assert os.listdir(tmp_path) == []


def test_a_copy_gets_no_name_under_which_it_cannot_be_opened(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="not UTF-8 text"):
        backup(path, tmp_path / "\udcff.duckdb")
    assert os.listdir(tmp_path) == ["k.duckdb"]


def test_a_writer_is_not_disturbed(path: Path, tmp_path: Path) -> None:
    with connect(path, write=True), pytest.raises(DatabaseLocked):
        backup(path, tmp_path / "copy.duckdb", wait=0)
    assert os.listdir(tmp_path) == ["k.duckdb"]
