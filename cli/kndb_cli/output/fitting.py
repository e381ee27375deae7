"""A table that fits the available width, or changes to a narrow layout. Never cuts off a value.

Rich would let a column shrink to nothing. Imported only when a table is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from kndb.cells import is_numeric
from kndb_cli.output.rows import Rows
from kndb_cli.output.tables import (
    GAP,
    blocks,
    by_column,
    column_cells,
    empty_table,
)


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table.

    Attributes:
        head: its name, which may wrap between words.
        cells: its values.
        right: whether the values are right-aligned, as numbers are.
        breaks: whether the values may wrap between words.
    """

    head: str
    cells: Sequence[Text]
    right: bool = False
    breaks: bool = True

    @classmethod
    def of(cls, head: str, values: Sequence[Any]) -> Column:
        """A column of values; numbers are right-aligned and do not wrap."""
        numeric = is_numeric(values)
        return cls(head, column_cells(values), right=numeric, breaks=not numeric)

    @cached_property
    def least(self) -> int:
        """Width in character cells when wrapped as far as allowed."""
        cells = [cell.plain for cell in self.cells]
        parts = [word for cell in cells for word in cell.split()] if self.breaks else cells
        return max(map(cell_len, [*self.head.split(), *parts]), default=0)

    @cached_property
    def whole(self) -> int:
        """Width in character cells without wrapping."""
        return max(cell_len(self.head), *(cell_len(cell.plain) for cell in self.cells), 0)

    @cached_property
    def text(self) -> bool:
        """Whether it has values of several words that may wrap."""
        return self.breaks and any(" " in cell.plain for cell in self.cells)


class Fitting:
    """A table of columns, replaced by ``narrow()`` if even wrapped lines are too wide.

    With ``wraps=False``, it is replaced as soon as a line would wrap. Spare width goes to texts
    first, then to heads.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        narrow: Callable[[], RenderableType],
        *,
        wraps: bool = True,
    ) -> None:
        self._columns = columns
        self._narrow = narrow
        self._wraps = wraps

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._shown(options.max_width)
        yield shown._table(shown._spare(options.max_width)) if isinstance(shown, Fitting) else shown

    def left_out(self, width: int) -> list[str]:
        """The heads of the columns that are not shown at this width."""
        shown = self._shown(width)
        heads = {each.head for each in shown._columns} if isinstance(shown, Fitting) else None
        return [] if heads is None else [c.head for c in self._columns if c.head not in heads]

    def _shown(self, width: int) -> RenderableType:
        """This table, or what replaces it at this width."""
        needed = 0 if self._wraps else sum(each.whole - each.least for each in self._columns)
        if self._spare(width) >= needed:
            return self
        narrow = self._narrow()
        return narrow._shown(width) if isinstance(narrow, Fitting) else narrow

    def _spare(self, width: int) -> int:
        """Character cells beyond those of a table that is wrapped as far as allowed."""
        room = width - GAP * (len(self._columns) - 1)
        return room - sum(column.least for column in self._columns)

    def _table(self, spare: int) -> Table:
        """The table, with ``spare`` extra character cells."""
        widths = {}
        for column in sorted(self._columns, key=lambda column: not column.text):
            widths[column] = min(column.whole, column.least + spare)
            spare -= widths[column] - column.least
        table = empty_table()
        for column in self._columns:
            side: Any = "right" if column.right else "left"
            table.add_column(Text(column.head), justify=side, width=widths[column])
        for cells in zip(*(column.cells for column in self._columns), strict=True):
            table.add_row(*cells)
        return table


def left_out(drawn: RenderableType, width: int) -> list[str]:
    """The heads of columns that a table, or several, do not show at this width."""
    parts = drawn.renderables if isinstance(drawn, Group) else [drawn]
    heads = (head for part in parts if isinstance(part, Fitting) for head in part.left_out(width))
    return list(dict.fromkeys(heads))


def generic(data: Rows) -> Fitting:
    """Any rows: a line for each, or a block for each if lines do not fit."""
    columns = map(Column.of, data.columns, by_column(data))
    return Fitting(list(columns), lambda: blocks(data))


def narrowing(data: Rows, *choices: Sequence[str]) -> RenderableType:
    """Rows that keep one line each for as long as possible.

    Args:
        data: the rows.
        choices: the names of the columns to show if all do not fit, the most first. Ids in them are
            cut to their first digits, which every command takes.

    Returns:
        All columns, or the first choice that fits without wrapping, the last one with wrapped
        texts, and at last a block for each row.
    """
    named = dict(zip(data.columns, by_column(data), strict=True))
    shortened = {name: first_digits(values) for name, values in named.items() if name in _IDS}
    shown = [[name for name in choice if name in named] for choice in choices]
    layouts = [[Column.of(name, {**named, **shortened}[name]) for name in one] for one in shown]
    narrow: Callable[[], RenderableType] = lambda: blocks(data)  # noqa: E731
    for number, columns in enumerate(reversed(layouts)):
        narrow = partial(Fitting, columns, narrow, wraps=number == 0)
    return Fitting([Column.of(*one) for one in named.items()], narrow, wraps=False)


_IDS = ("run_id", "edit_id", "search_id")
_DIGITS = 8


def first_digits(ids: Sequence[Any]) -> list[str]:
    """The first digits of ids, as many as tell them apart.

    >>> first_digits([5035186028894240262, 5035186099999999999])
    ['503518602', '503518609']
    """
    texts = [str(one) for one in ids]
    n = _DIGITS
    while n < max(map(len, texts), default=0) and len({one[:n] for one in texts}) < len({*texts}):
        n += 1
    return [one[:n] for one in texts]
