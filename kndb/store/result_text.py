"""A result as a table in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kndb.cells import column_texts, is_numeric, visible


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], more: int) -> None:
    """Print rows, and how many there are besides."""
    table = Table(box=None, pad_edge=False)
    values = [[row[at] for row in rows] for at in range(len(columns))]
    for name, own in zip(columns, values, strict=True):
        table.add_column(visible(name), justify="right" if is_numeric(own) else "left")
    texts = [[Text(visible(text)) for text in column_texts(own)] for own in values]
    for cells in zip(*texts, strict=True):
        table.add_row(*cells)
    console = Console()
    console.print(table)
    if more:
        console.print(f"and {more:,} rows more")
