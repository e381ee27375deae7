"""A table that fits its place: wide where the width allows it, else in another form.

Rich would let a column shrink to nothing; here no value is ever cut. Imported only when a table is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from kndb_cli.output.rows import Rows
from kndb_cli.output.tables import (
    GAP,
    blocks,
    by_column,
    column_cells,
    empty_table,
    is_numeric,
)


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table.

    Attributes:
        head: its name, which may break between words.
        cells: its values.
        right: whether they stand on the right, as numbers do.
        breaks: whether they may break between words.
    """

    head: str
    cells: Sequence[Text]
    right: bool = False
    breaks: bool = True

    @classmethod
    def of(cls, head: str, values: Sequence[Any]) -> Column:
        """The column of some values: numbers on the right and unbroken."""
        numeric = is_numeric(values)
        return cls(head, column_cells(values), right=numeric, breaks=not numeric)

    @cached_property
    def least(self) -> int:
        """How many character cells it needs, broken as far as it may be."""
        cells = [cell.plain for cell in self.cells]
        parts = [word for cell in cells for word in cell.split()] if self.breaks else cells
        return max(map(cell_len, [*self.head.split(), *parts]), default=0)

    @cached_property
    def whole(self) -> int:
        """How many it needs unbroken."""
        return max(cell_len(self.head), *(cell_len(cell.plain) for cell in self.cells), 0)

    @cached_property
    def text(self) -> bool:
        """Whether some of its values are of several words, and may be broken."""
        return self.breaks and any(" " in cell.plain for cell in self.cells)


class Fitting:
    """A table of columns; where even broken lines are too wide, ``narrow()`` instead.

    With more room than is needed, texts get it first, then heads.
    """

    def __init__(self, columns: Sequence[Column], narrow: Callable[[], RenderableType]) -> None:
        self._columns = columns
        self._narrow = narrow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - GAP * (len(self._columns) - 1)
        spare = room - sum(column.least for column in self._columns)
        yield self._table(spare) if spare >= 0 else self._narrow()

    def _table(self, spare: int) -> Table:
        """The table, with ``spare`` character cells more than it needs."""
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


def generic(data: Rows) -> Fitting:
    """Any rows: a line for each, or, where that would not fit the width, a block for each."""
    columns = map(Column.of, data.columns, by_column(data))
    return Fitting(list(columns), lambda: blocks(data))
