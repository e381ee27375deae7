"""Prints tables with bars in a terminal. Imported only when one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from kndb.cells import visible
from kndb.html_table import Column, Titled

WIDEST = 16
"""Character cells of the longest bar, where there is room."""

LEAST = 4
"""A shorter one shows nothing."""

GAP = 2
"""Character cells between columns."""


def print_tables(tables: Sequence[Titled], below: str = "") -> None:
    """Print tables as ``kndb.html_table`` lays them out for a notebook, and a line below them."""
    paper = Console(highlight=False, emoji=False)
    for at, (title, about, columns) in enumerate(tables):
        if at:
            paper.print()
        if title:
            paper.print(Text(visible(title), style="bold"), Text(visible(about)), sep="\n")
        if title and columns:
            paper.print()
        if columns:
            paper.print(BarTable(columns))
    if below:
        paper.print(Text(below))


class BarTable:
    """A table of columns, with bars where they have some: as long as the width allows.

    In a narrow terminal, bars are shortened and at last left out, before any text is.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bars = sum(column.bars is not None for column in self._columns)
        texts = sum(GAP + _width(column) for column in self._columns) - GAP
        spare = (options.max_width - texts) // bars - GAP if bars else 0
        yield self._table(min(WIDEST, spare) if spare >= LEAST else 0)

    def _table(self, longest: int) -> Table:
        """The table with bars of at most this many character cells; none if 0."""
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for column in self._columns:
            side: JustifyMethod = "right" if column.right else "left"
            table.add_column(Text(visible(column.head)), justify=side)
            if column.bars is not None and longest:
                table.add_column()
        for at in range(len(self._columns[0].texts)):
            table.add_row(
                *(cell for column in self._columns for cell in _cells(column, at, longest))
            )
        return table


def _width(column: Column) -> int:
    """Character cells of its longest text."""
    return max(cell_len(visible(text)) for text in (column.head, *column.texts))


def _cells(column: Column, at: int, longest: int) -> list[Text]:
    text = Text(visible(column.texts[at]))
    return [text] if column.bars is None or not longest else [text, _bar(column.bars[at], longest)]


def _bar(length: float, longest: int) -> Text:
    """A bar of this share of the longest, in whole and half cells."""
    halves = round(2 * longest * abs(length))
    return Text("█" * (halves // 2) + "▌" * (halves % 2), style="red" if length < 0 else "blue")
