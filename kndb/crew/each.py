"""Calls a function with a model and each of several items, wherever the model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from kndb.crew.engines import Engine, Here
from kndb.crew.work import ItemT, ResultT, Work
from kndb.models import LanguageModel
from kndb.progress import Report, silent

Tell = Callable[[int], None]
"""Called with the steps of an item that are done. Workers have nobody to tell."""

Function = Callable[[LanguageModel[Any], ItemT, Tell], ResultT]
"""What is called: a plain value, such as a module's function or a partial of one."""


@dataclass(frozen=True)
class Items(Generic[ItemT]):
    """Items, and how messages and progress speak of them.

    Attributes:
        items: the items.
        unit: the plural word for them.
        name: what a reader knows one by; it is sent to workers, as the function is.
        most: most of them that a worker gets at a time.
        steps: how many steps each is, for progress.
    """

    items: Sequence[ItemT]
    unit: str
    name: Callable[[ItemT], str]
    most: int = 1
    steps: Callable[[ItemT], int] = lambda item: 1


@dataclass(frozen=True)
class Applying(Work[tuple[int, ItemT], tuple[int, ResultT]]):
    """Calls a function for each of numbered items."""

    function: Function[ItemT, ResultT]
    unit: str
    naming: Callable[[ItemT], str]
    most: int
    tell: Tell

    def results(
        self, model: LanguageModel[Any], items: Sequence[tuple[int, ItemT]]
    ) -> Iterator[tuple[int, ResultT]]:
        """Each item's number and result."""
        return ((number, self.function(model, item, self.tell)) for number, item in items)

    def name(self, item: tuple[int, ItemT]) -> str:
        """The item's name."""
        return self.naming(item[1])

    def order(self, item: tuple[int, ItemT]) -> int:
        """As they are given."""
        return item[0]


def each(
    engine: Engine,
    function: Function[ItemT, ResultT],
    given: Items[ItemT],
    progress: Report = silent,
) -> list[ResultT]:
    """What a function returns for each item, in their order.

    Args:
        engine: what runs the model.
        function: called once for each item.
        given: the items.
        progress: called with the steps done, and all of them.

    Raises:
        KndbError: the function does, or the workers died.
    """
    steps = _Steps(progress, sum(map(given.steps, given.items)))
    tell = steps.tell if isinstance(engine, Here) else _to_nobody
    work = Applying(function, given.unit, given.name, given.most, tell)
    found: dict[int, ResultT] = {}
    for number, result in engine.run(work, list(enumerate(given.items))):
        found[number] = result
        steps.finish(given.steps(given.items[number]))
    return [found[number] for number in range(len(given.items))]


def _to_nobody(done: int) -> None:
    pass


class _Steps:
    """Reports steps: those of finished items, and of the one at hand; no number twice."""

    def __init__(self, progress: Report, total: int) -> None:
        self._progress = progress
        self._total = total
        self._finished = 0
        self._reported = -1
        self.tell(0)

    def tell(self, done: int) -> None:
        """So many steps of the item at hand are done."""
        if self._finished + done != self._reported:
            self._reported = self._finished + done
            self._progress(self._reported, self._total)

    def finish(self, steps: int) -> None:
        """An item of so many steps is finished."""
        self._finished += steps
        self.tell(0)
