"""A query in its own process answers, stays within its limits, and can change nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kndb
from kndb import progress
from kndb.errors import DatabaseMissing, KndbError, UsageError
from kndb.store.sandbox import Limits, run_apart
from small_store import finished_run
from store.test_database import HOLD

MIB = 2**20


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sandbox") / "k.duckdb"
    finished_run(path)
    return path


def test_values_of_every_type_come_back(path: Path) -> None:
    sql = (
        "SELECT 1, 2.5::DOUBLE, 1.5::DECIMAL(4, 1), 'ä', true, NULL, DATE '2000-01-01', "
        "TIMESTAMP '2000-01-01 10:00:00', TIMESTAMPTZ '2000-01-01 10:00:00+00', TIME '10:00', "
        "INTERVAL 1 DAY, 'a'::BLOB, [1, 2], {'a': 1}, MAP {1: 2}, 170141183460469231731::HUGEINT, "
        "'00000000-0000-0000-0000-000000000001'::UUID"
    )
    (row,) = run_apart(path, sql).result.rows()
    assert row[:6] == (1, 2.5, row[2], "ä", True, None)
    assert str(row[2]) == "1.5"
    assert row[11:16] == (b"a", [1, 2], {"a": 1}, {1: 2}, 170141183460469231731)


def test_a_value_that_python_cannot_hold_is_a_sentence(path: Path) -> None:
    sql = "SELECT INTERVAL '2147483647 months'"
    with pytest.raises(UsageError, match="too large for Python"):
        run_apart(path, sql)
    with kndb.open(path) as database, pytest.raises(UsageError, match="cast it to VARCHAR"):
        database.sql(sql)


def test_rows_beyond_the_limit_are_cut_off_and_it_is_said(path: Path) -> None:
    answer = run_apart(path, "FROM range(1_000_000_000_000)", Limits(rows=5000))
    assert (len(answer.result), answer.cut) == (5000, True)
    assert run_apart(path, "FROM range(10)", Limits(rows=10)).cut is False


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT length(repeat('x', 3000000000))",
        "SELECT len(list_sort(range(400000000)))",
        "SELECT list(a ORDER BY a) FROM range(100_000_000) AS r(a)",
    ],
)
def test_memory_is_limited(path: Path, sql: str) -> None:
    with pytest.raises(KndbError, match="memory"):
        run_apart(path, sql, Limits(memory=128 * MIB, seconds=60))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))",
        "SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b",
    ],
)
def test_time_is_limited(path: Path, sql: str) -> None:
    with pytest.raises(KndbError, match=r"longer than 1 s .* more time with `kndb sql --timeout`"):
        run_apart(path, sql, Limits(seconds=1))


def test_errors_are_those_of_the_library(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no_such .*Did you mean"):
        run_apart(path, "SELECT * FROM no_such")
    with pytest.raises(UsageError, match=r"Candidate bindings: .*lang"):
        run_apart(path, "SELECT lagn FROM prompt")
    with pytest.raises(UsageError, match="too large"):
        run_apart(path, "SELECT INTERVAL '2147483647 months'")
    with pytest.raises(DatabaseMissing):
        run_apart(tmp_path / "absent.duckdb", "SELECT 1")


UNJUDGED = """
from kndb.store.sandbox import worker
worker.judge = lambda sql: None
worker.main()
"""
HOSTILE = [
    "COPY (SELECT 1) TO '{path}' (USE_TMP_FILE false)",
    "EXPLAIN ANALYSE COPY (SELECT 1) TO '{path}' (USE_TMP_FILE false)",
    "EXPLAIN ANALYSE COPY (SELECT 'x'::BLOB) TO '{path}.wal' (FORMAT blob)",
    "COPY (SELECT 1) TO '{other}'",
    "FROM read_text('/etc/passwd')",
    "FROM checkpoint()",
    "ATTACH '{other}'",
    "SET enable_external_access = true",
    "CREATE TEMP TABLE run AS SELECT 1",
]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("sql", HOSTILE)
def test_the_process_withstands_what_the_judge_would_let_pass(
    path: Path, tmp_path: Path, sql: str
) -> None:
    """The second and third walls alone: the worker gets the statement unjudged."""
    other = tmp_path / "other"
    files = sorted(path.parent.iterdir())
    before = hashlib.sha256(path.read_bytes()).digest()
    request = {"path": str(path), "memory": 512 * MIB, "rows": 10}
    request["sql"] = sql.format(path=path, other=other)
    with subprocess.Popen(
        [sys.executable, "-c", UNJUDGED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdin.write(json.dumps(request).encode() + b"\n")
        run.stdin.flush()
        run.stdout.read()
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert sorted(path.parent.iterdir()) == files
    assert not other.exists()


CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from kndb.store.sandbox import workers, run_apart, Limits
started = workers.subprocess.Popen
def said(*args, **kwargs):
    child = started(*args, **kwargs)
    print(child.pid, flush=True)
    return child
workers.subprocess.Popen = said
try:
    run_apart({path!r}, {sql!r}, Limits(seconds=None))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
ENDLESS = (
    "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000)), sum(a.range) FROM range(9) a"
)


def started(path: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that runs an endless query, and the query's own."""
    script = CHILD.format(path=str(path), sql=ENDLESS)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def gone(pid: int, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_query_within_a_second(path: Path) -> None:
    parent, worker = started(path)
    with parent:
        begin = time.monotonic()
        parent.send_signal(signal.SIGINT)
        out, _ = parent.communicate(timeout=240)
        assert "interrupted" in out
        assert time.monotonic() - begin < 10  # a second on an idle machine
    assert gone(worker)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_query_ends_with_a_parent_that_is_killed(path: Path) -> None:
    parent, worker = started(path)
    with parent:
        parent.kill()
    assert gone(worker)


def test_an_answer_can_build_nothing_but_values() -> None:
    import io
    import pickle

    from kndb.store.sandbox.messages import read_messages

    body = pickle.dumps(("rows", [(os.getcwd,)]))
    stream = io.BytesIO(len(body).to_bytes(8, "little") + body)
    with pytest.raises(pickle.UnpicklingError):
        list(read_messages(stream))


def test_a_worker_that_dies_is_told(path: Path) -> None:
    def dying() -> subprocess.Popen[bytes]:
        code = "import os, sys; sys.stdin.readline(); os.abort()"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    with pytest.raises(KndbError, match=r"SIGABRT.*memory"):
        run_apart(path, "SELECT 1", take=dying)


@pytest.mark.long
def test_what_a_query_waits_for_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    hold = [sys.executable, "-c", HOLD, str(path), "writer"]
    with subprocess.Popen(hold, stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        def release(text: str) -> None:
            notes.append(text)
            holder.communicate("\n")

        monkeypatch.setattr(progress, "_notes", [release])
        assert run_apart(path, "SELECT count(*) FROM run").result.rows() == [(1,)]
    assert [f"(process {holder.pid}); waiting up to 10 s" in note for note in notes] == [True]
