"""Shards of a run: parts of its facts that can be ingested apart and merged. Opens no database.

A fact belongs to the shard that its id chooses, whatever else is in the data. A finished run lists
the shards that it covers, ``1,3/4``, and nothing once it covers all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kndb.errors import UsageError

MOST = 1_000_000
"""Shards of a run."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``number``-th of ``of`` shards, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a shard such as ``2/8``.

        >>> Shard.parse("2/8")
        Shard(number=2, of=8)

        Raises:
            UsageError: it is not two whole numbers, the first from 1 to the second.
        """
        found = re.fullmatch(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})", text)
        if found is None or not int(found[1]) <= int(found[2]) <= MOST:
            raise UsageError(
                f"{text[:40]!r} is no shard; write its number and how many there are: 2/8."
            )
        return cls(int(found[1]), int(found[2]))

    def has(self, fact_id: int) -> bool:
        """Whether a fact belongs to it."""
        return fact_id % self.of == self.number - 1

    def __str__(self) -> str:
        """As it is written: ``2/8``."""
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class Shards:
    """The shards that a finished run covers; with ``of`` 1, all.

    >>> Shards.parse("1,3/4").joined(Shards.parse("2/4"))
    Shards(numbers=frozenset({1, 2, 3}), of=4)
    >>> str(Shards.parse("1,3/4")), Shards.parse("1,3/4").missing
    ('1,3/4', [2, 4])
    """

    numbers: frozenset[int]
    of: int

    @classmethod
    def parse(cls, text: str | None) -> Shards:
        """Read the column ``run.shards``; None is all."""
        if text is None:
            return ALL
        numbers, _, of = text.partition("/")
        return cls(frozenset(map(int, numbers.split(","))), int(of))

    @classmethod
    def only(cls, shard: Shard) -> Shards:
        """A single shard, which is all if it is the only one."""
        return cls(frozenset({shard.number}), shard.of)

    @property
    def missing(self) -> list[int]:
        """The numbers of the others, ascending."""
        return sorted(set(range(1, self.of + 1)) - self.numbers)

    @property
    def stored(self) -> str | None:
        """For the column ``run.shards``."""
        return None if self == ALL else str(self)

    def joined(self, other: Shards) -> Shards:
        """Those of both.

        Raises:
            UsageError: they are of different numbers of shards.
        """
        if ALL in (self, other):
            return ALL
        if self.of != other.of:
            raise UsageError(
                f"The run has been divided into {self.of} shards and into {other.of}; use the same "
                "number of shards for all of it."
            )
        both = Shards(self.numbers | other.numbers, self.of)
        return both if both.missing else ALL

    def __str__(self) -> str:
        """As it is stored: ``1,3/4``."""
        return f"{','.join(map(str, sorted(self.numbers)))}/{self.of}"


ALL = Shards(frozenset({1}), 1)
"""What a run covers that was not divided, or whose shards have all been merged."""
