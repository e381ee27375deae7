"""Long work is stored in batches: how often, and what becomes of the last ones. Opens no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

COMMIT_SECONDS = 5.0
"""An interrupted job loses no more than this much work."""


class Batches(Generic[T]):
    """Collects items, and writes them when enough of them or enough seconds have come together.

    Use it in a ``with`` block: what is still waiting is written at its end, also when the block
    ends in an error or in Ctrl-C. An interrupted write is repeated then, so writing the same items
    twice must do no harm.

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
        """Keep an item for the next write, and write nothing now."""
        self._waiting.append(item)

    def add(self, item: T) -> None:
        """Keep an item, and write when that is due."""
        self.collect(item)
        if self.due:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
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
