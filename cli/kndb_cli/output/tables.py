"""Tables for people, drawn with Rich. Imported only when a table is requested.

Numbers are rounded only here; other formats have them in full.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TextIO

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from kndb.plain import plain
from kndb_cli.output.pager import page
from kndb_cli.output.rows import Rows
from kndb_cli.output.terminal import visible, wants_colour

_UNLIMITED = 10_000  # columns: a file or a pipe has no width

GAP = 2  # between the columns of ``empty_table``: its padding, and the line its box leaves out


def console(stream: TextIO) -> Console:
    """A Rich console on the stream, as wide as the terminal, or else as wide as needed."""
    wide = None if stream.isatty() or os.environ.get("COLUMNS") else _UNLIMITED
    return Console(
        file=stream, width=wide, highlight=False, no_color=not wants_colour(stream), emoji=False
    )


class _Visible:
    """The same renderable, without what a terminal would obey, whoever laid it out."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield Segment(visible(segment.text), segment.style, segment.control)


def draw(renderable: RenderableType, stream: TextIO) -> None:
    """Print one renderable. Only in a terminal are lines padded with blanks."""
    paper, renderable = console(stream), _Visible(renderable)
    with paper.capture() as drawn:
        paper.print(renderable)
    if stream.isatty():
        page(drawn.get(), stream)
        return
    stream.writelines(line.rstrip() + "\n" for line in drawn.get().splitlines())


def empty_table() -> Table:
    """A table without rows, in the style of all kndb tables."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def wanted(table: Table, console: Console, options: ConsoleOptions) -> Measurement:
    """The table's width with unbroken words and with unbroken lines, on unlimited paper."""
    return Measurement.get(console, options.update(width=_UNLIMITED), table)


def blocks(data: Rows) -> Table:
    """Any rows, each as a block of ``name  value`` lines."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    columns = [column_cells(values) for values in by_column(data)]
    for number, cells in enumerate(zip(*columns, strict=True)):
        if number:
            grid.add_row()
        for name, value in zip(data.columns, cells, strict=True):
            grid.add_row(Text(name), value)
    return grid


def by_column(data: Rows) -> list[list[Any]]:
    """The values of each column."""
    return [[row[at] for row in data.rows()] for at in range(len(data.columns))]


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether the known values are numbers."""
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def column_cells(values: Sequence[Any]) -> list[Text]:
    """The values of one column as text, with one precision so that decimal points align."""
    spec = _precision([value for value in values if isinstance(value, float)])
    return [_cell(value, spec) for value in values]


def _precision(floats: Sequence[float]) -> str:
    """At most four decimals, no more than the values have; 3 digits for small or large values."""
    largest = max(map(abs, floats), default=0.0)
    if largest != 0 and not 0.01 <= largest < 1e6:
        return ".3g"
    exact = (n for n in range(1, 4) if all(abs(round(x, n) - x) < 1e-9 for x in floats))
    return f".{next(exact, 4)}f"


def _cell(value: Any, spec: str) -> Text:
    # A Text is shown as is: brackets in the data are not markup.
    if value is None:
        return Text("–", style="dim")
    if isinstance(value, float):
        return Text(format(value, spec))
    if isinstance(value, datetime):
        return Text(format(value, "%Y-%m-%d %H:%M:%S"))
    value = plain(value)
    return Text(str(value).lower() if isinstance(value, bool) else str(value))
