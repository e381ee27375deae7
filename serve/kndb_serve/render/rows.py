"""Which rows of a table are shown, in which order. Formats nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kndb.errors import UsageError
from kndb.store.result import Result
from kndb_serve.asked import Asked
from kndb_serve.page import Table


@dataclass(frozen=True)
class Shown:
    """The rows of a table that are shown.

    Attributes:
        rows: in order.
        first: the place of the first of them, from 0.
        total: how many there are altogether.
        column: what they are sorted by; None for the order of the page.
        descending: whether they are sorted from large to small.
    """

    rows: Result
    first: int
    total: int
    column: str | None
    descending: bool

    @property
    def next(self) -> int | None:
        """The place behind the last row, if there are more."""
        after = self.first + len(self.rows)
        return after if after < self.total else None


def shown(table: Table, asked: Asked) -> Shown:
    """The rows of a table that a request asks for.

    Raises:
        UsageError: it sorts by a column that is not there, or its numbers are none.
    """
    window = asked.window(table.name, table.short)
    column = window.column
    descending = (window.sort or "").startswith("-")
    if table.paged:
        return Shown(table.rows, window.offset, table.rows.total, column, descending)
    rows = list(table.rows)
    if column:
        if column not in table.rows.columns:
            known = ", ".join(table.rows.columns)
            raise UsageError(
                f"The table {table.name} has no column {column!r:.40}; it has {known}."
            )
        rows = _sorted(rows, table.rows.columns.index(column), descending)
    some = rows[window.offset : window.last]
    result = Result(table.rows.columns, table.rows.types, some)
    return Shown(result, window.offset, len(rows), column, descending)


def _sorted(rows: list[tuple[Any, ...]], at: int, descending: bool) -> list[tuple[Any, ...]]:
    """Rows by one column; those without a value come last, and what has no order goes as text."""
    known = [row for row in rows if row[at] is not None]
    missing = [row for row in rows if row[at] is None]
    try:
        known.sort(key=lambda row: row[at], reverse=descending)
    except TypeError:
        known.sort(key=lambda row: str(row[at]), reverse=descending)
    return known + missing
