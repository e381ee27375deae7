"""Waits for a file that another process has locked: tries again, says so, and gives up in the end.

Either one process writes to a DuckDB file or several read it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar
from weakref import WeakSet

import duckdb

from kndb.errors import DatabaseLocked
from kndb.progress import say

T = TypeVar("T")


class Kept(Protocol):
    """What keeps a file open."""

    path: Path


_KEPT: WeakSet[Kept] = WeakSet()
"""The ``Database`` objects of this process that are open."""

_KEEPING = threading.Lock()

OWN = "another part of this process"

SAY_AFTER = 1.0
"""Seconds of waiting after which it is said what is waited for."""

GIVE_WAY = 1.0
"""Seconds that a new reader leaves to a writer that waits; many readers would keep it out."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25  # seconds between two tries


def when_free(path: Path, attempt: Callable[[], T], wait: float, *, write: bool) -> T:
    """What ``attempt`` returns, once the file is no longer locked.

    A writer that waits has a file beside the database, ``.waiting``, and touches it at every try.

    Args:
        path: the file.
        attempt: opens it.
        wait: seconds to keep trying.
        write: whether it is opened for writing.

    Raises:
        DatabaseLocked: it is still locked then.
        duckdb.Error: the attempt failed for another reason.
    """
    sign = _sign(path)
    if not write:
        _give_way(sign, min(wait, GIVE_WAY))
        return _tried(path, attempt, wait, lambda: None)
    try:
        return _tried(path, attempt, wait, lambda: _touch(sign))
    finally:
        with suppress(OSError):
            sign.unlink(missing_ok=True)


def _tried(path: Path, attempt: Callable[[], T], wait: float, waiting: Callable[[], None]) -> T:
    """Try again and again; ``waiting`` is called before each pause."""
    started = time.monotonic()
    pause, said = _FIRST_PAUSE, False
    while True:
        try:
            return attempt()
        except duckdb.Error as error:
            if (who := holder(error)) is None:
                raise
            if who == OWN and kept_open(path):
                raise DatabaseLocked(
                    f"{path} is open for reading in this process, which keeps writers out; close "
                    "that Database first."
                ) from error
            waited = time.monotonic() - started
            if waited + pause > wait:
                raise DatabaseLocked(
                    f"{path} is in use by {who}; wait until it has finished, or end it."
                ) from error
        if waited >= SAY_AFTER and not said:
            say(f"{path} is in use by {who}; waiting up to {wait:g} s for it.")
            said = True
        waiting()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def keep(kept: Kept) -> None:
    """Remember that this keeps its file open."""
    with _KEEPING:
        _KEPT.add(kept)


def let_go(kept: Kept) -> None:
    """Forget that this keeps its file open."""
    with _KEEPING:
        _KEPT.discard(kept)


def kept_open(path: Path) -> bool:
    """Whether a ``Database`` of this process keeps the file open.

    Then waiting for it is in vain. Nor may this process read the file by itself: the lock is the
    process's, and the system gives it up as soon as any handle of the file is closed.
    """
    with _KEEPING:
        return any(kept.path.resolve() == path.resolve() for kept in _KEPT)


def _touch(sign: Path) -> None:
    with suppress(OSError):
        sign.touch()


def _give_way(sign: Path, longest: float) -> None:
    """Wait while a writer does, but not for ever: it may be waiting for a reader that stays."""
    until = time.monotonic() + longest
    while _is_fresh(sign) and time.monotonic() < until:
        time.sleep(_FIRST_PAUSE)


def writer_waits(path: Path) -> bool:
    """Whether a writer is waiting for the readers of this file to close it."""
    return _is_fresh(_sign(path))


def _sign(path: Path) -> Path:
    return path.with_name(f"{path.name}.waiting")


def _is_fresh(sign: Path) -> bool:
    """Whether a writer has just touched it: one that was killed leaves it behind."""
    try:
        return 0 <= time.time() - sign.stat().st_mtime < 4 * _LONGEST_PAUSE
    except OSError:
        return False


def holder(error: duckdb.Error) -> str | None:
    """Who holds the file, if the error says that it is locked."""
    text = str(error)
    if "different configuration" in text:  # DuckDB shares one database per process
        return OWN
    if "Could not set lock" not in text:
        return None
    found = re.search(r"held in (\S.*?) \(PID (\d+)\)", text)
    return f"{Path(found[1]).name} (process {found[2]})" if found else "another process"
