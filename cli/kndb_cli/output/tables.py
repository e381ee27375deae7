"""Tables for people, drawn with Rich. Imported only when a table is requested."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from kndb.cells import column_texts
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


def column_cells(values: Sequence[Any]) -> list[Text]:
    """The values of one column, as ``kndb.cells`` has them. A Text knows no markup."""
    return [
        Text(text, style="dim" if value is None else "")
        for text, value in zip(column_texts(values), values, strict=True)
    ]
