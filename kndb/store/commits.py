"""Stores long work in batches: when to write, and the rest at the end. Opens no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

COMMIT_SECONDS = 5.0
"""An interrupted job loses no more than this much work."""


class Batches(Generic[T]):
    """Collects items, and writes them after a number of items or of seconds.

    Use it in a ``with`` block: remaining items are written when the block ends, even in an error or
    Ctrl-C. An interrupted write is then repeated, so writing the same items twice must be harmless.

    Args:
        write: called with a batch.
        items: most items in a batch.
        seconds: longest time between writes.

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
    ) -> None:
        self._write = write
        self._items = items
        self._seconds = seconds
        self._waiting: list[T] = []
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        long_ago = time.monotonic() - self._last >= self._seconds
        return long_ago or len(self._waiting) >= self._items

    def collect(self, item: T) -> None:
        """Keep an item for the next write, without writing now."""
        self._waiting.append(item)

    def add(self, item: T) -> None:
        """Keep an item, and write if it is time."""
        self.collect(item)
        if self.due:
            self.flush()

    def flush(self) -> None:
        """Write the items kept so far."""
        batch, self._waiting = self._waiting, []
        try:
            if batch:
                self._write(batch)
        except KeyboardInterrupt:
            self._waiting = batch
            raise
        self._last = time.monotonic()

    def __enter__(self) -> Batches[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.flush()
