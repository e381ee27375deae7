"""Prints tables with bars in a terminal. Imported only when one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kndb.cells import visible
from kndb.html_table import Column, Titled

WIDEST = 16
"""Character cells of the longest bar."""


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
            paper.print(bar_table(columns))
    if below:
        paper.print(Text(below))


def bar_table(columns: Sequence[Column]) -> Table:
    """A table of columns, with bars beside those that have some."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(Text(visible(column.head)), justify="right" if column.right else "left")
        if column.bars is not None:
            table.add_column()
    for at in range(len(columns[0].texts)):
        table.add_row(*(cell for column in columns for cell in _cells(column, at)))
    return table


def _cells(column: Column, at: int) -> list[Text]:
    text = Text(visible(column.texts[at]))
    return [text] if column.bars is None else [text, _bar(column.bars[at])]


def _bar(length: float) -> Text:
    """A bar of this share of the longest, in whole and half cells."""
    halves = round(2 * WIDEST * abs(length))
    return Text("█" * (halves // 2) + "▌" * (halves % 2), style="red" if length < 0 else "blue")
