"""Tables for people, drawn with Rich. Imported only when a table is asked for.

Numbers are rounded here and nowhere else; the other forms carry them in full.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TextIO

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kndb.plain import plain
from kndb_cli.output.rows import Rows
from kndb_cli.output.terminal import wants_colour

_UNLIMITED = 10_000  # columns: a file or a pipe has no width

GAP = 2  # between the columns of ``empty_table``: its padding, and the line its box leaves out


def console(stream: TextIO) -> Console:
    """A Rich console on the stream, as wide as the terminal, or as wide as the table needs."""
    wide = None if stream.isatty() or os.environ.get("COLUMNS") else _UNLIMITED
    return Console(
        file=stream, width=wide, highlight=False, no_color=not wants_colour(stream), emoji=False
    )


def draw(renderable: RenderableType, stream: TextIO) -> None:
    """Print one renderable. Only a terminal gets the blanks that fill its lines."""
    paper = console(stream)
    if stream.isatty():
        paper.print(renderable)
        return
    with paper.capture() as drawn:
        paper.print(renderable)
    stream.writelines(line.rstrip() + "\n" for line in drawn.get().splitlines())


def empty_table() -> Table:
    """A table without rows, in the one style that all of kndb's tables have."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def wanted(table: Table, console: Console, options: ConsoleOptions) -> Measurement:
    """How wide the table is with words unbroken, and with lines unbroken, on unlimited paper."""
    return Measurement.get(console, options.update(width=_UNLIMITED), table)


def generic(data: Rows) -> RenderableType:
    """Any rows: a line for each, or, where that would not fit the width, a block for each."""
    return _Fitting(data.columns, data.rows())


def blocks(data: Rows) -> RenderableType:
    """Any rows: a block of ``name  value`` lines for each."""
    return _Fitting(data.columns, data.rows()).blocks()


class _Fitting:
    """A table where the width allows it, else one block of ``name  value`` lines per row."""

    def __init__(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        values = [[row[at] for row in rows] for at in range(len(columns))]
        self._names = [Text(name) for name in columns]
        self._numeric = [_is_numeric(column) for column in values]
        self._cells = list(zip(*map(column_cells, values), strict=True))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table()
        fits = wanted(table, console, options).minimum <= options.max_width
        yield table if fits else self.blocks()

    def _table(self) -> Table:
        table = empty_table()
        for name, numeric in zip(self._names, self._numeric, strict=True):
            table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
        for cells in self._cells:
            table.add_row(*cells)
        return table

    def blocks(self) -> Table:
        """One block per row."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for number, cells in enumerate(self._cells):
            if number:
                grid.add_row()
            for name, value in zip(self._names, cells, strict=True):
                grid.add_row(name, value)
        return grid


def _is_numeric(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def column_cells(values: Sequence[Any]) -> list[Text]:
    """The values of one column as text, in one precision, so that decimal points line up."""
    spec = _precision([value for value in values if isinstance(value, float)])
    return [_cell(value, spec) for value in values]


def _precision(floats: Sequence[float]) -> str:
    """At most four decimals, and no more than the values have; of small or large ones 3 digits."""
    largest = max(map(abs, floats), default=0.0)
    if largest != 0 and not 0.01 <= largest < 1e6:
        return ".3g"
    exact = (n for n in range(1, 4) if all(abs(round(x, n) - x) < 1e-9 for x in floats))
    return f".{next(exact, 4)}f"


def _cell(value: Any, spec: str) -> Text:
    # A Text is shown as it is: brackets in the data are no markup.
    if value is None:
        return Text("–", style="dim")
    if isinstance(value, float):
        return Text(format(value, spec))
    if isinstance(value, datetime):
        return Text(format(value, "%Y-%m-%d %H:%M:%S"))
    value = plain(value)
    return Text(str(value).lower() if isinstance(value, bool) else str(value))
