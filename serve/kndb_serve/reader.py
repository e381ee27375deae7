"""Lends the database to requests, each with a connection of its own, and lets writers in.

DuckDB keeps writers out while a file is open for reading. So the file is closed once nobody has
asked for a while, and as soon as the requests under way are answered if a writer waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

import kndb
from kndb.errors import KndbError
from kndb.store.locks import writer_waits

T = TypeVar("T")

IDLE = 2.0
"""Seconds without a request after which the file is closed."""

GIVE_WAY = 5.0
"""Seconds that a request waits for others to end so that a writer gets its turn."""

REMEMBERED = 256
"""Answers kept while the file does not change."""

AGAIN = 0.05
"""Seconds between interrupts of requests at the end: one may have come before its query began."""


_ENDED = "The server has ended; start kndb serve again."


class Ended(KndbError):
    """The server ends, and opens the file no more."""


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
        self._idle: threading.Timer | None = None
        self._seen: tuple[int, int] | None = None
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
        except duckdb.InterruptException as error:
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
            self._stay_open()
            while self._users:
                for database in self._lent:
                    database.interrupt()
                self._free.wait(AGAIN)
            self._close()

    def _enter(self) -> None:
        with self._free:
            if self._ended:
                raise Ended(_ENDED)
            self._stay_open()
            if writer_waits(self.path):
                self._free.wait_for(lambda: self._users == 0, GIVE_WAY)
                if self._users == 0:
                    self._close()
            if self._kept is None:
                self._open()
            self._users += 1

    def _leave(self) -> None:
        with self._free:
            self._users -= 1
            if self._users:
                return
            if self._ended or writer_waits(self.path):
                self._close()
            else:
                self._idle = threading.Timer(IDLE, self._close_if_idle)
                self._idle.daemon = True
                self._idle.start()
            self._free.notify_all()

    def _stay_open(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _open(self) -> None:
        self._kept = kndb.open(self.path, wait=self._wait)
        found = self.path.stat()
        seen = (found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._seen, self._memory = seen, {}

    def _close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _close_if_idle(self) -> None:
        with self._free:
            if self._users == 0:
                self._close()
