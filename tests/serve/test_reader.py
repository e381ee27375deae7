"""The file is lent to many at once, kept open while it is asked for, and closed for writers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

import kndb
from kndb.errors import DatabaseLocked, DatabaseMissing, KndbError
from kndb.store.database import connect
from kndb_serve import reader
from kndb_serve.reader import Reader
from small_store import finished_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "k.duckdb"
    finished_run(made)
    return made


@pytest.fixture
def lender(path: Path) -> Reader:
    return Reader(path)


def test_connections_are_separate(lender: Reader) -> None:
    with lender.lend() as one, lender.lend() as other:
        assert one is not other
        one.interrupt()
        assert len(other.relations()) == 2
    lender.close()


def test_another_connection_does_not_give_up_the_lock(path: Path) -> None:
    with kndb.open(path) as database:
        with kndb.open(path) as other:
            other.relations()
        database.overlap(by="language-pair")
        assert writing(path, 0).wait(60) == 1
    assert writing(path).wait(60) == 0


def test_a_writer_gets_in_between_requests(
    lender: Reader, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "IDLE", 3600)
    with lender.lend():
        pass
    with pytest.raises(DatabaseLocked):
        connect(path, write=True, wait=0).close()
    writer = writing(path)
    while writer.poll() is None:  # requests go on; one of them gives way to the writer
        with lender.lend() as database:
            database.relations()
    assert writer.returncode == 0
    with lender.lend() as database:
        assert "seat" in [row["label"] for row in database.relations().to_dicts()]
    lender.close()


def test_the_file_is_closed_when_idle(
    lender: Reader, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "IDLE", 0.01)
    with lender.lend():
        pass
    end = time.monotonic() + 60
    while lender._kept is not None:  # no writer says that it waits
        assert time.monotonic() < end
        time.sleep(0.01)
    assert writing(path).wait(60) == 0


def test_a_file_that_took_its_place_is_opened(lender: Reader, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    finished_run(other)
    finished_run(other, seed=7)
    with lender.lend() as database:
        assert len(database.stored_runs()) == 1
    other.replace(path)
    with lender.lend() as database:
        assert len(database.stored_runs()) == 2
    path.unlink()
    with pytest.raises(DatabaseMissing), lender.lend():
        pass
    lender.close()


def test_a_writer_gets_in_while_nobody_asks(
    lender: Reader, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "IDLE", 3600)
    with lender.lend():
        pass
    assert writing(path).wait(60) == 0
    lender.close()


def writing(path: Path, wait: float = 50) -> subprocess.Popen[bytes]:
    """Another process that changes the label of a relation as soon as it can open the file."""
    code = (
        "import sys; from kndb.store.database import transaction\n"
        "with transaction(sys.argv[1], wait=float(sys.argv[2])) as connection:\n"
        "    connection.execute(\"UPDATE relation SET label = 'seat' WHERE relation_id = 'P36'\")"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(path), str(wait)])


def test_what_is_remembered_is_forgotten_when_the_file_changes(lender: Reader, path: Path) -> None:
    with lender.lend():
        assert lender.remember("n", lambda: 1) == 1
        assert lender.remember("n", lambda: 2) == 1
    lender._close()
    with lender.lend():
        assert lender.remember("n", lambda: 3) == 1
    lender._close()
    finished_run(path, seed=7)
    with lender.lend() as database:
        assert lender.remember("n", lambda: 4) == 4
        assert len(database.stored_runs()) == 2
    lender.close()


def test_memory_is_bounded(lender: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "REMEMBERED", 2)
    with lender.lend():
        made = [lender.remember(key, partial(int, key)) for key in range(5)]
    assert made == [0, 1, 2, 3, 4]
    lender.close()


def test_an_interrupted_query_ends(path: Path) -> None:
    with kndb.open(path) as database:
        timer = threading.Timer(0.2, database.interrupt)
        timer.start()
        with pytest.raises(KndbError, match="ended before"):
            database.sql("SELECT count(*) FROM range(100_000_000_000) AS a(x) WHERE x % 7 = 3")
        timer.join()
