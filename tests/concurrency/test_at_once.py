"""Commands that use one database at the same time: each ends with its answer or a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from crash.forking import Commands, commands
from crash.test_crash import EDITS, EXACT, JOBS, facts
from kndb.store.check import check_database
from pausing import READY
from same_rows import assert_same_rows
from saved_models import saved
from small_store import start_from_empty

pytestmark = pytest.mark.long

INGEST = JOBS["ingest"].args
OTHER = (*INGEST[:-1], "amig-code")
WAIT = 60.0
"""Seconds that a command waits for the file before it gives up."""

READ = """
import json, sys, time
from pathlib import Path
import kndb

path, stop = sys.argv[1], Path(sys.argv[2])
answers, torn, longest = 0, 0, 0.0
print("ready", flush=True)
while not stop.exists():
    started = time.monotonic()
    with kndb.open(path) as database:
        ((wrong,),) = database.sql(
            "SELECT count(*) FROM prediction WHERE status = 'done' AND (run_id, prompt_id) "
            "NOT IN (SELECT (run_id, prompt_id) FROM attribution)"
        ).rows()
        database.runs()
    answers, torn = answers + 1, torn + wrong
    longest = max(longest, time.monotonic() - started)
print(json.dumps([answers, torn, longest]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("at-once")
    (path / "model").symlink_to(saved("tiny-bert"))
    (path / "facts.jsonl").write_text("\n".join(map(json.dumps, facts())))
    (path / "edits.jsonl").write_text("\n".join(map(json.dumps, EDITS)))
    return path


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Commands, Commands]]:
    with commands() as one, commands() as other:
        yield one, other


@pytest.fixture
def database(folder: Path) -> Path:
    path = folder / "k.duckdb"
    path.unlink(missing_ok=True)
    start_from_empty(path)
    return path


@pytest.fixture(scope="module")
def alone(folder: Path, two: tuple[Commands, Commands]) -> Path:
    """What an ingest, another ingest, a search and edits store one after the other."""
    path = folder / "k.duckdb"
    for args in (INGEST, OTHER, *searches_and_edits()):
        ended = two[0].run(folder, args)
        assert ended.code == 0, ended.output
    return path.rename(folder / "alone.duckdb")


def searches_and_edits() -> list[tuple[str, ...]]:
    return [JOBS["degenerate"].args, JOBS["edit"].args]


def both(
    two: tuple[Commands, Commands], folder: Path, one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    """Run two commands at the same time."""
    with ThreadPoolExecutor(2) as pool:
        ended = [pool.submit(c.run, folder, a) for c, a in zip(two, (one, other), strict=True)]
        for found in (future.result(READY) for future in ended):
            assert found.code == 0, found.output


@contextmanager
def readers(n: int, database: Path, stop: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that open, ask and close again and again."""
    command = [sys.executable, "-c", READ, str(database), str(stop)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n)]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_eight_readers_during_an_ingest(
    two: tuple[Commands, Commands], alone: Path, database: Path, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    with readers(8, database, stop) as started:
        ended = two[0].run(database.parent, INGEST)
        again = two[0].run(database.parent, OTHER)
        stop.touch()
        found = [json.loads(process.communicate(timeout=READY)[0]) for process in started]
    assert (ended.code, again.code) == (0, 0), ended.output + again.output
    assert ended.seconds + again.seconds < WAIT
    for answers, torn, longest in found:
        assert answers > 0
        assert torn == 0
        assert longest < WAIT
    print(f"ingests {ended.seconds:.1f} s and {again.seconds:.1f} s; readers {found}")
    tables = ("model", "dataset", "fact", "prompt", "prediction", "attribution")
    assert_same_rows(database, alone, tables, EXACT, EXACT)


def test_the_same_ingest_twice(two: tuple[Commands, Commands], alone: Path, database: Path) -> None:
    both(two, database.parent, INGEST, INGEST)
    assert two[0].run(database.parent, OTHER).code == 0
    tables = ("run", "prediction", "attribution", "knowledge_neuron")
    assert_same_rows(database, alone, tables, EXACT, EXACT)
    assert check_database(database) == []


def test_two_ingests(two: tuple[Commands, Commands], alone: Path, database: Path) -> None:
    both(two, database.parent, INGEST, OTHER)
    tables = ("run", "prediction", "attribution", "knowledge_neuron")
    assert_same_rows(database, alone, tables, EXACT, EXACT)


def test_an_ingest_and_a_search(
    two: tuple[Commands, Commands], alone: Path, database: Path
) -> None:
    folder = database.parent
    assert two[0].run(folder, INGEST).code == 0
    ((run_id,),) = _runs(database)
    search, edits = ((*args, "--run", str(run_id)) for args in searches_and_edits())
    both(two, folder, OTHER, search)
    assert two[0].run(folder, edits).code == 0
    assert check_database(database) == []


def _runs(database: Path) -> list[tuple[int]]:
    import kndb

    with kndb.open(database) as opened:
        return [*opened.sql("SELECT run_id FROM run").rows()]


HOLD = """
import sys, kndb
with kndb.open(sys.argv[1]) as database:
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_reader_that_holds_the_file(two: tuple[Commands, Commands], database: Path) -> None:
    hold = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(hold, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ended = two[0].run(database.parent, INGEST)
        process.communicate("\n")
    assert ended.code == 3
    assert ended.seconds < 2 * WAIT
    who = rf"k.duckdb is in use by {Path(sys.executable).resolve().name} (process {process.pid})"
    said = [line for line in ended.output.splitlines() if who in line]
    assert said == [
        f"{who}; waiting up to {WAIT:g} s for it.",
        f"Error: {who}; wait until it has finished, or end it.",
    ]
