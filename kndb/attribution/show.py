"""Prints tables with bars in a terminal. Imported only when one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kndb.cells import visible
from kndb.html_table import Column

WIDEST = 16
"""Character cells of the longest bar."""


def print_tables(title: str, about: str, tables: Sequence[Sequence[Column]]) -> None:
    """Print tables below a title, as ``kndb.html_table`` lays them out for a notebook."""
    paper = Console(highlight=False, emoji=False)
    paper.print(Text(visible(title), style="bold"), Text(visible(about)), sep="\n")
    for columns in tables:
        paper.print(Text(), _table(columns), sep="\n")


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.head, justify="right" if column.right else "left")
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
