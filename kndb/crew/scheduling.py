"""Hands out work to the workers of a pool, and gives again what those that died had.

Knows neither models nor Ray: a pool runs the workers. A worker does its work in the order in
which it was given, so what kills it is the first of what it has.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kndb.crew.work import Part, ResultT
from kndb.errors import KndbError
from kndb.progress import say

AHEAD = 2
"""Parts that a worker has at a time: one that it works on, and the next."""

MOST_DEATHS = 3
"""Workers that a part may kill, and that may die one after another before they are ready."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker can be given work."""

    worker: int


@dataclass(frozen=True, slots=True)
class Done:
    """A worker has done a part, given by its number."""

    worker: int
    part: int
    results: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone, and the results that it has not delivered with it."""

    worker: int
    reason: str


class Pool(Protocol):
    """Starts workers, and says what happens to them."""

    def start(self, worker: int) -> None:
        """Begin to start a worker under a number that none had before."""

    def give(self, worker: int, number: int, part: Part[Any, Any]) -> None:
        """Give a worker that is ready a part, to do after those that it has."""

    def wait(self) -> Ready | Done | Died:
        """What happens next.

        Raises:
            KndbError: a worker refused its work, in a way that no other worker would mend.
        """


class Crew:
    """Workers of a pool, each of which is replaced when it dies.

    Args:
        pool: starts them.
        size: how many.
    """

    def __init__(self, pool: Pool, size: int) -> None:
        self._pool = pool
        self._started = 0
        self._starting = 0
        self._failed_starts = 0
        self._has: dict[int, deque[int]] = {}  # numbers of parts by worker
        for _ in range(size):
            self._start()

    def wait_for_one(self) -> None:
        """Wait until a worker is ready.

        Raises:
            KndbError: they die before, or refuse.
        """
        while not self._has:
            self._next()

    def results(self, parts: Sequence[Part[Any, ResultT]]) -> Iterator[ResultT]:
        """Have parts done, and yield the results of their items in any order.

        Raises:
            KndbError: a part has killed too many workers, too many died before they were ready, or
                one refused its work.
        """
        waiting = deque(range(len(parts)))
        deaths = Counter[int]()
        while waiting or any(self._has.values()):
            self._hand_out(waiting, parts)
            event = self._next()
            if isinstance(event, Done):
                self._has[event.worker].remove(event.part)
                yield from event.results
            elif isinstance(event, Died) and (lost := self._has.pop(event.worker, None)):
                deaths[lost[0]] += 1
                if deaths[lost[0]] == MOST_DEATHS:
                    raise KndbError(
                        f"The {parts[lost[0]]} killed {MOST_DEATHS} workers ({event.reason}); give "
                        "workers more memory, or set --memory."
                    )
                waiting.extendleft(reversed(lost))

    def _hand_out(self, waiting: deque[int], parts: Sequence[Part[Any, Any]]) -> None:
        for _ in range(AHEAD):  # one for each worker before a second for any
            for worker, has in self._has.items():
                if waiting and len(has) < AHEAD:
                    has.append(waiting.popleft())
                    self._pool.give(worker, has[-1], parts[has[-1]])

    def _next(self) -> Ready | Done | Died:
        """Wait for an event. A worker that is ready has nothing yet; one that died is replaced."""
        event = self._pool.wait()
        if isinstance(event, Ready):
            self._starting -= 1
            self._failed_starts = 0
            self._has[event.worker] = deque()
        elif isinstance(event, Died) and event.worker in self._has:
            say(f"{event.reason}; its work is done again.")
            self._start()
        elif isinstance(event, Died):
            self._starting -= 1
            self._failed_starts += 1
            self._start_again(event.reason)
        return event

    def _start(self) -> None:
        self._pool.start(self._started)
        self._started += 1
        self._starting += 1

    def _start_again(self, reason: str) -> None:
        """After a start that failed: again, or on with the others, if there are any."""
        if self._failed_starts < MOST_DEATHS:
            self._start()
        elif self._has or self._starting:
            say(f"{reason}; this is the third such start, and the work goes on with the others.")
        else:
            raise KndbError(
                f"{reason}, as {MOST_DEATHS - 1} others before they were ready; what they printed, "
                "or the logs of the cluster, should say why."
            )
