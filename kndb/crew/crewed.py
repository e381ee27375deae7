"""An engine whose model runs in a crew of workers, wherever these are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kndb.crew.scheduling import Crew, Pool
from kndb.crew.work import ItemT, ResultT, Work, cut
from kndb.models import ModelInfo


@dataclass(frozen=True)
class Loaded:
    """A worker that has loaded the model."""

    name: str
    info: ModelInfo
    adapter: str


class ModelPool(Pool, Protocol):
    """A pool whose workers hold a model.

    Attributes:
        loaded: the workers that were ready at some time.
        done: how many items of the newest work each has done, by its name.
    """

    loaded: dict[int, Loaded]
    done: Counter[str]


class Crewed:
    """An engine (``engines.Engine``) whose model runs in the workers of a pool.

    Raises:
        KndbError: no worker got ready, or one refused its work.
    """

    def __init__(self, pool: ModelPool, size: int) -> None:
        self._size = size
        self._crew = Crew(pool, size)
        self._crew.wait_for_one()
        first = next(iter(pool.loaded.values()))
        self.info = first.info
        self.adapter = first.adapter
        self._done = pool.done

    @property
    def workers(self) -> Mapping[str, int]:
        """Items of the newest work that are done, by the worker's name."""
        return dict(self._done)

    def run(self, work: Work[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Do a work, as ``Engine`` says; yield the results of a part when it is done."""
        self._done.clear()
        return self._crew.results(cut(work, items, self._size))
