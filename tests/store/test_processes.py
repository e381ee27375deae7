"""A run whose process was killed is shown as interrupted; any doubt leaves it running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import kndb
from kndb.errors import UsageError
from kndb.store import processes
from kndb.store.deletion import delete_run
from kndb.store.processes import is_gone, this_process
from kndb.store.searches import SearchWriter
from kndb.store.writer import Writer
from small_store import begin, scored_run

HERE = Path(__file__).parents[1]

WORK = """
import sys
sys.path.insert(0, sys.argv[2])
from kndb.store.processes import this_process
from kndb.store.searches import SearchWriter
from kndb.store.writer import Writer
from small_store import begin
run = begin(Writer(sys.argv[1]))
if sys.argv[3] == "search":
    Writer(sys.argv[1]).finish(run.run_id, 0.2, 0.5)
    SearchWriter(sys.argv[1], run.run_id, {}).begin()
print(this_process(), flush=True)
sys.stdin.read()
"""


@contextmanager
def working(path: Path, job: str = "run") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has begun a run, or a search in one, and what it calls itself."""
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(path), str(HERE), job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def statuses(path: Path) -> list[str]:
    with kndb.open(path) as database:
        return [row["status"] for row in database.runs().to_dicts()]


def test_a_killed_run_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    with working(path) as (process, _):
        assert statuses(path) == ["running"]
        process.kill()
        process.wait()
        assert statuses(path) == ["interrupted"]
    run = begin(Writer(path))
    assert statuses(path) == ["running"]
    Writer(path).finish(run.run_id, 0.2, 0.5)
    assert statuses(path) == ["finished"]


@pytest.mark.long
def test_a_killed_search_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"

    def search() -> tuple[str, int]:
        with kndb.open(path) as database:
            (row,) = database.searches().to_dicts()
        return row["status"], row["run_id"]

    with working(path, "search") as (process, _):
        state, run_id = search()
        assert state == "running"
        with pytest.raises(UsageError, match="A process is working on run"):
            delete_run(path, run_id)
        process.kill()
        process.wait()
        assert search()[0] == "interrupted"
    writer = SearchWriter(path, run_id, {})
    writer.begin()
    writer.mark("running")
    assert search()[0] == "running"
    writer.mark("finished")
    assert search()[0] == "finished"
    with kndb.open(path) as database:
        assert database.sql("SELECT process FROM degenerate_search").rows() == [(None,)]
    delete_run(path, run_id)


def test_an_interrupted_run_belongs_to_no_process(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    run_id = scored_run(path)
    Writer(path).mark(run_id, "interrupted")
    with kndb.open(path) as database:
        assert database.sql("SELECT status, process FROM run").rows() == [("interrupted", None)]


def test_a_dead_process_that_nobody_collected_is_gone(tmp_path: Path) -> None:
    with working(tmp_path / "k.duckdb") as (process, name):
        assert not is_gone(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still listed
        assert is_gone(name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="starts are known on Linux")
def test_a_number_that_is_used_again_is_another_process() -> None:
    *here, start = this_process().split()
    assert is_gone(" ".join([*here, str(int(start) - 1)]))


@pytest.mark.parametrize(("part", "gone"), [(0, False), (1, True), (2, False)])
def test_what_cannot_be_known_is_not_claimed(part: int, gone: bool) -> None:
    parts = this_process().split()
    parts[part] = "other"  # machine, boot, container
    parts[3] = "4000000"  # no process has this number
    assert is_gone(" ".join(parts)) is gone


def test_without_proc_the_number_decides() -> None:
    assert processes._exists(str(os.getpid()))
    assert not processes._exists("4000000")
