"""A readable table of estimates, drawn with Rich: each value followed by its interval.

Imported only where a table is drawn.
"""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from kndb.evaluation.readable import Readable, readable
from kndb.evaluation.table import Table
from kndb_cli.output.rows import Listing
from kndb_cli.output.tables import blocks, empty_table, wanted


class Estimates:
    """A table if the width allows it, else one block of ``name  value`` lines per row."""

    def __init__(self, table: Table) -> None:
        self._shown = readable(table)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = _drawn(self._shown)
        fits = wanted(table, console, options).minimum <= options.max_width
        rows = [tuple(row) for row in self._shown.rows]
        yield table if fits else blocks(Listing(self._shown.heads, rows))


def _drawn(shown: Readable) -> RichTable:
    table = empty_table()
    for head, numeric in zip(shown.heads, shown.numeric, strict=True):
        table.add_column(Text(head), justify="right" if numeric else "left", no_wrap=numeric)
    for row in shown.rows:
        table.add_row(*map(Text, row))
    return table
