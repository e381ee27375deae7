"""Runs one query in a process of its own, within limits, and ends it whatever it does."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from kndb import errors
from kndb.errors import KndbError, NotFound
from kndb.progress import say
from kndb.store.sandbox.messages import read_messages
from kndb.store.sandbox.workers import Ended, Process, end, start

if TYPE_CHECKING:
    from kndb.store.result import Result


@dataclass(frozen=True)
class Limits:
    """What one query may take.

    Attributes:
        seconds: from start to end; None for no limit.
        memory: bytes, for the query alone.
        rows: of the answer; those behind are cut off.
    """

    seconds: float | None = 30.0
    memory: int = 2 * 2**30
    rows: int = 1_000_000


@dataclass(frozen=True)
class Answer:
    """A query's answer, and whether it had more rows than allowed."""

    result: Result
    cut: bool


def run_apart(
    path: str | Path,
    sql: str,
    limits: Limits = Limits(),
    take: Callable[[], Process] = start,
) -> Answer:
    """Have a query judged and run in a process of its own, so that this one needs no DuckDB.

    Args:
        path: the database.
        sql: one query.
        limits: of time, memory and rows.
        take: what gives the process, which is ended afterwards; see ``Workers``.

    Raises:
        UsageError: it is not a query, or DuckDB refuses it.
        KndbError: it took more than the limits allow.
        Ended: somebody else ended the process.
        DatabaseError: the database cannot be opened.
        KeyboardInterrupt: Ctrl-C; the process is gone by then.
    """
    request = {
        "path": str(path),
        "sql": sql,
        "memory": limits.memory,
        "rows": limits.rows,
    }
    with _worker(take, limits.seconds) as (process, late), _interruptible(process) as interrupted:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            return _collected(process, limits)
        except (EOFError, BrokenPipeError) as error:
            if interrupted.is_set():
                raise KeyboardInterrupt from error
            if late.is_set():
                raise KndbError(
                    f"The query took longer than {limits.seconds:g} s and was ended; ask for less, "
                    "or give it more time with `kndb sql --timeout`."
                ) from error
            raise _died(process, limits) from error


def _collected(process: Process, limits: Limits) -> Answer:
    from kndb.store.result import Result

    assert process.stdout is not None
    columns: list[str] = []
    types: list[str] = []
    rows: list[tuple[Any, ...]] = []
    for message in read_messages(process.stdout):
        match message:
            case ("header", columns, types):
                pass
            case ("rows", batch):
                rows += batch
            case ("note", str(text)):
                say(text)
            case ("error", kind, text, nearest):
                raise _error(kind, text, nearest)
    cut = len(rows) > limits.rows
    return Answer(Result(tuple(columns), tuple(types), rows[: limits.rows]), cut)


def _error(kind: str, text: str, nearest: list[str]) -> KndbError:
    found = getattr(errors, kind, KndbError)
    if found is NotFound:
        return NotFound(text, nearest)
    made = found(text)
    return made if isinstance(made, KndbError) else KndbError(text)


def _died(process: Process, limits: Limits) -> KndbError:
    code = process.wait()
    if code == -signal.SIGTERM:
        return Ended("The query's process was told to end before it had the answer; ask again.")
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return KndbError(
        f"The query's process ended ({how}), most likely for want of memory: "
        f"{limits.memory // 2**20} MiB are allowed; ask for less at once."
    )


@contextmanager
def _interruptible(process: Process) -> Iterator[threading.Event]:
    """End the worker at Ctrl-C, also where the exception is lost: an import may swallow it."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        process.kill()
        if callable(before):
            before(number, frame)

    if callable(before):  # else Ctrl-C is ignored here
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        if callable(before):
            signal.signal(signal.SIGINT, before)


@contextmanager
def _worker(
    take: Callable[[], Process], seconds: float | None
) -> Iterator[tuple[Process, threading.Event]]:
    """A waiting worker, ended with the block, or before it when time runs out."""
    process = take()
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = None if seconds is None else threading.Timer(seconds, stop)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield process, late
    finally:
        if timer is not None:
            timer.cancel()
        end(process)
