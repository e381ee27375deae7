"""Lends the database to requests, each with a connection of its own, and lets writers in.

DuckDB keeps writers out while a file is open for reading. So the file is closed as soon as a writer
waits and the requests under way are answered. Programs other than kndb do not say that they wait:
for them it is closed once nobody has asked for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

import kndb
from kndb.errors import KndbError
from kndb.store.locks import writer_waits
from kndb.store.sandbox import Ended

T = TypeVar("T")

IDLE = 30.0
"""Seconds without a request after which the file is closed: opened anew, it answers more slowly."""

LOOK = 0.2
"""Seconds between looks whether a writer waits, while nobody asks."""

GIVE_WAY = 5.0
"""Seconds that a request waits for others to end so that a writer gets its turn."""

REMEMBERED = 256
"""Answers kept while the file does not change."""

AGAIN = 0.05
"""Seconds between interrupts of requests at the end: one may have come before its query began."""


_ENDED = "The server has ended; start kndb serve again."


class Reader:
    """A database at ``path`` for requests in many threads.

    Args:
        path: the database.
        wait: seconds to wait for a writer that holds the file.
    """

    def __init__(self, path: Path, wait: float = 10.0) -> None:
        self.path = path
        self._wait = wait
        self._free = threading.Condition()
        self._users = 0
        self._lent: set[kndb.Database] = set()
        self._ended = False
        # Opening the file once more is cheap while it is open.
        self._kept: kndb.Database | None = None
        self._watching = False
        self._asked = 0.0
        self._seen: tuple[int, int, int] | None = None
        self._memory: dict[Hashable, Any] = {}

    @contextmanager
    def lend(self) -> Iterator[kndb.Database]:
        """A connection for one request.

        Raises:
            DatabaseError: the file cannot be opened.
            Ended: the reader was closed, before or meanwhile.
        """
        self._enter()
        try:
            with kndb.open(self.path, wait=self._wait) as database, self._interruptible(database):
                yield database
        except (duckdb.InterruptException, KndbError) as error:
            if isinstance(error, Ended) or (isinstance(error, KndbError) and not self._ended):
                raise
            raise Ended(_ENDED) from error
        finally:
            self._leave()

    @contextmanager
    def _interruptible(self, database: kndb.Database) -> Iterator[None]:
        with self._free:
            self._lent.add(database)
        try:
            yield
        finally:
            with self._free:
                self._lent.remove(database)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` returns, made once for as long as the file stays as it is.

        For use while a connection is lent: until then nobody can write to the file.
        """
        memory = self._memory
        if key not in memory:
            if len(memory) >= REMEMBERED:
                memory.clear()
            memory[key] = make()
        answer: T = memory[key]
        return answer

    def close(self) -> None:
        """Interrupt what is being answered, wait for its end, and close the file for good.

        A thread that is still inside DuckDB when Python ends would abort the process.
        """
        with self._free:
            self._ended = True
            while self._users:
                for database in self._lent:
                    database.interrupt()
                self._free.wait(AGAIN)
            self._close()

    def _enter(self) -> None:
        with self._free:
            if self._ended:
                raise Ended(_ENDED)
            if writer_waits(self.path):
                self._free.wait_for(lambda: self._users == 0, GIVE_WAY)
                if self._users == 0:
                    self._close()
            if not self._users and self._seen != self._found():
                self._close()
            if self._kept is None:
                self._open()
            self._users += 1

    def _leave(self) -> None:
        with self._free:
            self._users -= 1
            self._asked = time.monotonic()
            if not (self._users or self._watching):
                self._watching = True
                threading.Thread(target=self._watch, daemon=True).start()
            self._free.notify_all()

    def _watch(self) -> None:
        """Close the file when nobody uses it, and a writer waits or it is idle."""
        with self._free:
            while not self._users and self._kept is not None:
                idle = time.monotonic() - self._asked >= IDLE
                if self._ended or idle or writer_waits(self.path):
                    self._close()
                else:
                    self._free.wait(LOOK)
            self._watching = False

    def _open(self) -> None:
        self._kept = kndb.open(self.path, wait=self._wait)
        found = self._found()
        if found != self._seen:
            self._seen, self._memory = found, {}

    def _found(self) -> tuple[int, int, int] | None:
        """What tells the file from another, or from itself at another time."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
