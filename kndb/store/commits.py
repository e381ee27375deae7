"""Stores long work in batches: when to write, and the rest at the end. Opens no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

from kndb.errors import DatabaseLocked
from kndb.progress import say

T = TypeVar("T")

COMMIT_SECONDS = 5.0
"""An interrupted job loses no more than this much work."""

KEPT_BATCHES = 3
"""Batches kept in memory while another process holds the file; then the job ends."""


class Batches(Generic[T]):
    """Collects items, and writes them after a number of items or of seconds.

    Use it in a ``with`` block: remaining items are written when the block ends, even in an error or
    Ctrl-C. An interrupted write is then repeated, so writing the same items twice must be harmless.
    While another process holds the file, work goes on and items are kept, but not without limit.

    Args:
        write: called with a batch.
        items: most items in a batch.
        seconds: longest time between writes.
        count: how many items one that is added counts for.

    >>> with Batches(print, items=2) as batches:
    ...     for item in "abc":
    ...         batches.add(item)
    ['a', 'b']
    ['c']
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], None],
        *,
        items: int,
        seconds: float = COMMIT_SECONDS,
        count: Callable[[T], int] = lambda _: 1,
    ) -> None:
        self._write = write
        self._items = self._due = items
        self._seconds = seconds
        self._count = count
        self._waiting: list[T] = []
        self._waits = 0
        self._last = time.monotonic()

    def add(self, item: T) -> None:
        """Keep an item, and write if it is time.

        Raises:
            DatabaseLocked: another process holds the file, and too many items are kept.
        """
        self._waiting.append(item)
        long_ago = time.monotonic() - self._last >= self._seconds
        self._waits += self._count(item)
        if not long_ago and self._waits < self._due:
            return
        try:
            self._flush()
        except DatabaseLocked:
            if self._waits >= KEPT_BATCHES * self._items:
                raise
            self._due = self._waits + self._items  # not at once with the next item
            say(f"{self._waits} results are kept until the file is free.")

    def _flush(self) -> None:
        """Write the items kept so far."""
        batch, self._waiting = self._waiting, []
        try:
            if batch:
                self._write(batch)
            self._waits, self._due = 0, self._items
        except (KeyboardInterrupt, DatabaseLocked):
            self._waiting = batch
            raise
        finally:
            self._last = time.monotonic()

    def __enter__(self) -> Batches[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._flush()
