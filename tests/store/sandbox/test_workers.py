"""A worker that waits for the next query, and the end of all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kndb.errors import KndbError
from kndb.store.sandbox import Limits, Workers, run_apart
from kndb.store.sandbox.workers import Process, end
from small_store import finished_run

ENDLESS = "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))"


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.end()


def test_the_one_that_waits_is_taken(workers: Workers, tmp_path: Path) -> None:
    finished_run(tmp_path / "k.duckdb")
    workers.prepare()
    waiting = workers._next
    taken: list[Process] = []

    def take() -> Process:
        taken.append(workers.take())
        return taken[0]

    answer = run_apart(tmp_path / "k.duckdb", "SELECT 6 * 7", take=take)
    assert answer.result.rows() == [(42,)]
    assert taken == [waiting]
    assert taken[0].poll() is not None
    assert workers._next is not None
    assert workers._next.poll() is None  # another waits


def test_one_that_died_waiting_is_not_taken(workers: Workers) -> None:
    workers.prepare()
    assert workers._next is not None
    dead = workers._next
    dead.kill()
    dead.wait()
    taken = workers.take()
    assert taken is not dead
    assert taken.poll() is None
    end(taken)
    end(dead)


def test_all_end_and_say_so(workers: Workers, tmp_path: Path) -> None:
    finished_run(tmp_path / "k.duckdb")
    started = threading.Event()
    taken: list[Process] = []
    said: list[str] = []

    def take() -> Process:
        taken.append(workers.take())
        started.set()
        return taken[0]

    def ask() -> None:
        with pytest.raises(KndbError) as refused:
            run_apart(tmp_path / "k.duckdb", ENDLESS, Limits(seconds=None), take)
        said.append(str(refused.value))

    asking = threading.Thread(target=ask)
    asking.start()
    assert started.wait(60)
    workers.end()
    asking.join(60)
    assert said == ["The query's process was told to end before it had the answer; ask again."]
    assert taken[0].poll() is not None
    assert workers._next is not None
    assert workers._next.poll() is not None
    with pytest.raises(KndbError, match="server has ended"):
        workers.take()
