"""What can be run on a model anywhere, and how it is cut into parts for workers. Runs nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from kndb.models import LanguageModel

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

LEAST_PARTS = 4
"""Parts for each worker, if there are items enough, so that none is idle for long at the end."""

NAME_LENGTH = 80
"""Most characters of an item's name in a message."""


class Work(ABC, Generic[ItemT, ResultT]):
    """What is done with a model for each of many items. A plain value: it is sent to workers.

    Attributes:
        unit: the plural word for its items.
        most: most items that a worker gets at a time, which are repeated if it dies.
    """

    unit: str
    most: int

    @abstractmethod
    def results(self, model: LanguageModel[Any], items: Sequence[ItemT]) -> Iterable[ResultT]:
        """Do it: one result per item, in any order. They are sent back from workers.

        Raises:
            KndbError: it cannot be done, here or elsewhere.
        """

    @abstractmethod
    def name(self, item: ItemT) -> str:
        """What a reader knows an item by, such as its text."""

    @abstractmethod
    def order(self, item: ItemT) -> Any:
        """A sort key: neighbours are alike in what they cost, and are put into one part."""


@dataclass(frozen=True)
class Part(Generic[ItemT, ResultT]):
    """Items that one worker gets together, and what it does with them."""

    work: Work[ItemT, ResultT]
    items: Sequence[ItemT]

    def __len__(self) -> int:
        return len(self.items)

    def __str__(self) -> str:
        first = self.work.name(self.items[0])[:NAME_LENGTH]
        return f"{len(self)} {self.work.unit} from {first!r} on"

    def results(self, model: LanguageModel[Any]) -> list[ResultT]:
        """The results of all items."""
        return list(self.work.results(model, self.items))


def cut(
    work: Work[ItemT, ResultT], items: Sequence[ItemT], workers: int
) -> list[Part[ItemT, ResultT]]:
    """Items in parts of alike ones, several for each worker."""
    alike = sorted(items, key=work.order)
    size = max(1, min(work.most, ceil(len(alike) / (LEAST_PARTS * workers))))
    return [Part(work, alike[start : start + size]) for start in range(0, len(alike), size)]
