"""Opening: every wrong file and every lock gets one sentence, and the file is left as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from kndb.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseLocked,
    DatabaseMissing,
    DatabaseVersion,
)
from kndb.store import database, locks
from kndb.store.database import connect, transaction, upgrade
from kndb.store.describe import database_status
from kndb.store.merging import merge
from kndb.store.writer import Writer
from kndb_migrations import HEAD
from small_store import attributions, begin, finished_run, predictions


def a_text_file(path: Path) -> None:
    path.write_text("not a database\n" * 1000)


def an_empty_file(path: Path) -> None:
    path.touch()


def half_a_database(path: Path) -> None:
    finished_run(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def nine_tenths_of_a_database(path: Path) -> None:
    finished_run(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 10])


def only_a_version(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE alembic_version AS SELECT '{HEAD}' AS version_num")


def an_empty_version(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR)")


def a_database_of_something_else(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE sales AS SELECT 1 AS amount")


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        a_text_file,
        an_empty_file,
        half_a_database,
        nine_tenths_of_a_database,
        only_a_version,
        an_empty_version,
        a_database_of_something_else,
    ],
)
def test_a_wrong_file_is_refused_and_untouched(
    tmp_path: Path, make: Callable[[Path], None], write: bool
) -> None:
    path = tmp_path / "k.duckdb"
    make(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseCorrupt, match=r"not a kndb database|is damaged"):
        connect(path, write=write, create=write)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["k.duckdb"]


@pytest.mark.parametrize("write", [False, True])
def test_a_missing_database_is_named_and_not_made(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "none.duckdb"
    with pytest.raises(DatabaseMissing, match=r"none\.duckdb; `kndb ingest`"):
        connect(path, write=write)
    assert not path.exists()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a folder"):
        connect(tmp_path)


@pytest.mark.parametrize("write", [False, True])
def test_a_pipe_and_a_device_are_no_databases(tmp_path: Path, write: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(DatabaseError, match="is a pipe or a device"):
            connect(path, write=write, create=write)
        with pytest.raises(DatabaseError, match="is a pipe or a device"):
            database_status(path)


@pytest.mark.parametrize("write", [False, True])
def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "\udcff.duckdb"
    with pytest.raises(DatabaseError, match="not UTF-8 text; rename the file or folder"):
        connect(path, write=write, create=write)


@pytest.mark.skipif(sys.platform == "win32", reason="not names of files there")
@pytest.mark.parametrize("name", ["~x.duckdb", "s3:x.duckdb", ":memory:"])
def test_a_name_is_that_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """DuckDB would take each for something else."""
    monkeypatch.chdir(tmp_path)
    finished_run(Path(name))
    merge([Path(name)], "merged.duckdb")
    for path in (name, "merged.duckdb"):
        with connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)
    assert sorted(os.listdir()) == sorted([name, "merged.duckdb"])


def test_a_database_is_whole_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    for seed in range(4):  # DuckDB leaves free blocks at the end out of the file, and counts them
        run = begin(writer, seed=seed)
        many = list(range(seed, 40_000, 2))
        scores = attributions([(key, 0, key % 8, 1 / (key + 1)) for key in many])
        writer.append(run.run_id, predictions(many), scores)
        connect(path).close()
        writer.finish(run.run_id, 0.2, 0.5)
        connect(path).close()


def test_a_current_database_is_upgraded_without_writing(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with held(path, "reader"):  # so nobody may write, as in a read-only folder
        upgrade(path, wait=0)


def test_a_database_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="there is no folder"):
        connect(tmp_path / "none" / "k.duckdb", write=True, create=True)


def test_a_database_left_empty_by_a_crash_is_filled_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(DatabaseCorrupt, match="empty database"):
        connect(path)
    assert begin(Writer(path)).status == "running"


def test_a_refused_database_is_not_kept_open(tmp_path: Path) -> None:
    """DuckDB would go on showing this process the file that was refused."""
    path = tmp_path / "k.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(DatabaseCorrupt) as refused:
        connect(path)
    path.unlink()
    finished_run(path)
    with connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchall() == [(1,)]
    assert refused.value


def test_a_newer_database_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with connect(path, write=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for write in (False, True):
        with pytest.raises(DatabaseVersion, match=rf"9999.*up to {HEAD}; upgrade kndb"):
            connect(path, write=write)
    assert database_status(path).revision == "9999"
    assert not database_status(path).is_current


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(path: Path, by: str) -> Iterator[int]:
    """Another process locks the file within the block; yield its number."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), by],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.communicate("\n")


@pytest.mark.parametrize(
    ("holder", "write"), [("writer", False), ("writer", True), ("reader", True)]
)
def test_a_locked_database_names_the_process(tmp_path: Path, holder: str, write: bool) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with (
        held(path, holder) as process,
        pytest.raises(DatabaseLocked, match=rf"in use by .* \(process {process}\)"),
    ):
        connect(path, write=write, wait=0.2)


@pytest.mark.parametrize("holder", ["writer", "reader"])
def test_what_is_waited_for_is_said(
    holder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    monkeypatch.setattr(locks, "SAY_AFTER", 0.1)
    with held(path, holder) as process:
        with pytest.raises(DatabaseLocked):
            connect(path, write=True, wait=0.05)
        assert capsys.readouterr().err == ""
        with pytest.raises(DatabaseLocked):
            connect(path, write=True, wait=0.5)
    said = rf"{path} is in use by \S+ \(process {process}\); waiting up to 0\.5 s for it\.\n"
    assert re.fullmatch(said, capsys.readouterr().err)


def test_new_readers_let_a_waiting_writer_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sign = tmp_path / "k.duckdb", tmp_path / "k.duckdb.waiting"
    finished_run(path)
    writer = threading.Thread(target=lambda: connect(path, write=True, wait=60).close())
    with held(path, "reader"):
        writer.start()
        while not sign.exists():
            assert writer.is_alive()
    writer.join()
    assert not sign.exists()

    sign.touch()
    monkeypatch.setattr(locks, "GIVE_WAY", 0.2)
    started = time.monotonic()
    connect(path).close()
    assert time.monotonic() - started >= 0.2
    assert sign.exists()  # it is the writer's

    os.utime(sign, (1, 1))
    assert not locks._is_fresh(sign)  # its writer was killed


def test_a_short_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    script = HOLD.replace("sys.stdin.readline()", "import time; time.sleep(0.5)")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path), "writer"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with connect(path, wait=30) as connection:
            assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_many_may_read(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with held(path, "reader"), connect(path, wait=0) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_a_reader_of_this_process_keeps_its_writer_out(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    with connect(path), pytest.raises(DatabaseLocked, match="another part of this process"):
        connect(path, write=True, wait=0)


def test_status_counts_rows_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    status = database_status(path)
    assert status.is_current
    assert (status.rows["prompt"], status.rows["run"], status.rows["attribution"]) == (8, 1, 14)
    assert status.size == path.stat().st_size


def test_an_interrupted_transaction_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kndb.duckdb"
    connect(path, write=True, create=True).close()
    ctrl_c = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])

    def work() -> None:
        with transaction(path) as connection:
            connection.execute("INSERT INTO relation VALUES ('P36', 'capital')")
            ctrl_c.start()
            connection.execute("SELECT count(*) FROM range(60_000_000) t(i) WHERE i % 7 = 3")

    with pytest.raises(KeyboardInterrupt):
        work()
    with connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM relation").fetchall() == [(0,)]


def test_threads_come_with_the_size_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert threads(path) == 1
    monkeypatch.setattr(database, "BYTES_OF_THREAD", path.stat().st_size)
    assert threads(path) == 2
    monkeypatch.setattr(database, "BYTES_OF_THREAD", 1)
    assert threads(path) == 3


def threads(path: Path) -> int:
    """Of two connections, which share them."""
    with connect(path) as first, connect(path) as second:
        found = {
            connection.execute("SELECT current_setting('threads')").fetchall()[0][0]
            for connection in (first, second)
        }
    (one,) = found
    return int(one)
