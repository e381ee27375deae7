"""Which rows of a listing are read, and in which order: so that a page of many reads few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.plain import is_whole
from kndb.store.result import Result


@dataclass(frozen=True)
class Window:
    """Some rows of a listing.

    Attributes:
        limit: at most this many rows; None for all.
        offset: rows left out before them.
        sort: the column to sort by, ``-`` before it for descending; None for the listing's own
            order. Rows without a value come last.
    """

    limit: int | None = None
    offset: int = 0
    sort: str | None = None

    @property
    def column(self) -> str | None:
        """The column to sort by."""
        return self.sort and self.sort.removeprefix("-")

    @property
    def last(self) -> int | None:
        """The place behind the last row; None for no end."""
        return None if self.limit is None else self.offset + self.limit

    def check(self, columns: Sequence[str]) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: ``sort`` is not one of these columns, or a number is out of range.
        """
        if self.limit is not None and not (is_whole(self.limit) and self.limit >= 1):
            raise UsageError(
                f"limit is {self.limit!r:.40}, but must be a whole number of at least 1."
            )
        if not (is_whole(self.offset) and self.offset >= 0):
            raise UsageError(
                f"offset is {self.offset!r:.40}, but must be a whole number of at least 0."
            )
        if self.column is not None and self.column not in columns:
            raise UsageError(f"There is no column {self.column!r:.40}; use {', '.join(columns)}.")

    def order(self, default: str) -> str:
        """``ORDER BY``, with the default order among equals.

        >>> Window(sort="-score").order("layer, neuron")
        'ORDER BY score DESC NULLS LAST, layer, neuron'
        """
        if self.column is None:
            return f"ORDER BY {default}"
        way = " DESC" if self.sort and self.sort.startswith("-") else ""
        return f"ORDER BY {self.column}{way} NULLS LAST, {default}"

    def cut(self) -> str:
        """``LIMIT`` and ``OFFSET``.

        >>> Window(limit=20, offset=40).cut(), Window().cut()
        ('LIMIT 20 OFFSET 40', '')
        """
        limit = "" if self.limit is None else f"LIMIT {int(self.limit)}"
        return f"{limit} OFFSET {int(self.offset)}" if self.offset else limit


ALL = Window()
"""All rows, in the listing's own order."""


def read_window(connection: duckdb.DuckDBPyConnection, window: Window) -> Result:
    """The rows of the last statement, whose last column is how many there are altogether.

    Raises:
        NotFound: there are rows, but none after ``offset``.
    """
    found = Result.read(connection)
    if not found and window.offset:
        raise NotFound(f"There are no rows after the first {window.offset:,}.")
    total = found.rows()[0][-1] if found else 0
    return Result(found.columns[:-1], found.types[:-1], [row[:-1] for row in found], total=total)
