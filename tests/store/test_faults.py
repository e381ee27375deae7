"""A full disk, a folder that cannot be written, and a file that changes under a running job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import kndb
from kndb.errors import DatabaseCorrupt, DatabaseError, DatabaseMissing
from kndb.store.check import check_database
from kndb.store.edits import Ledger
from kndb.store.searches import SearchWriter
from kndb.store.writer import Run, Writer
from small_store import PROMPT_IDS, attributions, begin, finished_run, predictions

TESTS = Path(__file__).parents[1]

FILL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from kndb.errors import KndbError
from kndb.store.writer import Writer
from small_store import attributions, begin, predictions

writer, many = Writer(sys.argv[1]), list(range(150_000))
batch = predictions(many), attributions([(key, 0, key % 8, key * 7919 % 1000) for key in many])
size = Path(sys.argv[1]).stat().st_size + int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    writer.append(begin(writer, seed=1).run_id, *batch)
except KndbError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("room", [pytest.param(-(2**40), marks=pytest.mark.long), 50_000])
def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path, room: int) -> None:
    """A limit on the size of files is what a process can set itself; DuckDB fails as it does
    on a full disk, when it writes its log."""
    path = tmp_path / "k.duckdb"
    finished_run(path)
    room = max(room, -path.stat().st_size)
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path), str(TESTS), str(room)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == (
        f"{path} cannot be written: File too large; what was stored before is safe, so make room "
        "and run the same command again.\n"
    )
    assert check_database(path) == []
    with kndb.open(path) as database:
        assert len(database.query()) == 8
    run = begin(Writer(path), seed=1)
    Writer(path).append(run.run_id, predictions(PROMPT_IDS), attributions([(1, 0, 0, 1.0)]))


def test_a_folder_that_cannot_be_written() -> None:
    """Not even by root: in ``/proc`` nobody can make files."""
    with pytest.raises(DatabaseError, match=r"^/proc/k\.duckdb cannot be opened: No such file"):
        begin(Writer("/proc/k.duckdb", wait=0))


@pytest.fixture
def working(tmp_path: Path) -> tuple[Path, Run]:
    """A database, and a run that has begun in it."""
    path = tmp_path / "k.duckdb"
    finished_run(path)
    return path, begin(Writer(path), seed=1)


def append(path: Path, run: Run) -> None:
    Writer(path).append(run.run_id, predictions(PROMPT_IDS), attributions([(1, 0, 0, 1.0)]))


def search(path: Path, run: Run) -> None:
    import pyarrow as pa

    SearchWriter(path, run.run_id, {}).append(*[pa.table({"search_id": [1]})] * 4)


def edit(path: Path, run: Run) -> None:
    Ledger(path).append([{"run_id": run.run_id, "edit_id": 1}], [], [])


STEPS = [append, search, edit, lambda path, run: Writer(path).finish(run.run_id, 0.2, 0.5)]


@pytest.mark.parametrize("step", STEPS)
def test_a_deleted_file_is_not_made_again(
    working: tuple[Path, Run], step: Callable[[Path, Run], None]
) -> None:
    path, run = working
    path.unlink()
    with pytest.raises(DatabaseMissing):
        step(path, run)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_written_into_another_file(
    working: tuple[Path, Run], step: Callable[[Path, Run], None], tmp_path: Path
) -> None:
    path, run = working
    path.unlink()
    finished_run(path)
    with pytest.raises(DatabaseError, match="the file was replaced, or a run deleted"):
        step(path, run)
    assert check_database(path) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_file_that_was_cut_short_is_left_alone(
    working: tuple[Path, Run], step: Callable[[Path, Run], None]
) -> None:
    path, run = working
    shutil.copyfile(path, path.with_suffix(".whole"))
    os.truncate(path, path.stat().st_size // 2)
    before = path.read_bytes()
    with pytest.raises(DatabaseCorrupt, match="damaged"):
        step(path, run)
    assert path.read_bytes() == before
