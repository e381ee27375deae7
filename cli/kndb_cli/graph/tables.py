"""Lays out the rows of ``kndb graph groups`` and ``measures`` as tables.

Imported only when a table is printed.
"""

from __future__ import annotations

from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from kndb_cli.output.rows import Listing, Rows
from kndb_cli.output.tables import GAP, blocks, column_cells, empty_table

_HEADS = {
    "fact_key": "fact",
    "relation_id": "id",
    "n_facts": "facts",
    "n_relations": "relations",
    "n_langs": "langs",
    "n_degenerate": "degenerate",
    "bridges_relations": "bridges relations",
    "bridges_langs": "bridges langs",
    "n_pairs": "pairs",
    "n_cliques": "cliques",
    "largest_clique": "largest clique",
    "mean_drop": "mean drop",
}


def run_table(found: Rows) -> RenderableType:
    """A table for the rows of one run. Model and run id, the last two columns, become its title."""
    model, run = found.rows()[0][-2:]
    title = Text.assemble((model, "bold cyan"), (f"  run {run}", "dim"))
    heads = tuple(_HEADS.get(name, name) for name in found.columns[:-2])
    return Group(title, _Fitting(Listing(heads, [row[:-2] for row in found.rows()])))


class _Column:
    """A column of a table: its head, its cells, and their widths."""

    def __init__(self, head: str, values: list[Any]) -> None:
        self.head = head
        self.cells = column_cells(values)
        self.numeric = any(isinstance(value, int | float) for value in values)
        words = [word for cell in self.cells for word in cell.plain.split()]
        self.least = max(map(cell_len, [*head.split(), *words]))
        self.whole = max(map(cell_len, [head, *(cell.plain for cell in self.cells)]))
        self.breaks = any(" " in cell.plain for cell in self.cells)


class _Fitting:
    """A table that never cuts off a value, as Rich might.

    If there is too little room, text wraps between words; if that is not enough, each row becomes a
    block.
    """

    def __init__(self, data: Listing) -> None:
        self._data = data
        values = zip(*data.rows(), strict=True)
        self._columns = [
            _Column(head, list(column)) for head, column in zip(data.columns, values, strict=True)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - GAP * (len(self._columns) - 1)
        spare = room - sum(column.least for column in self._columns)
        yield self._table(spare) if spare >= 0 else blocks(self._data)

    def _table(self, spare: int) -> Table:
        """Lay out the table with ``spare`` extra character cells: text first, then heads."""
        widths = {}
        for column in sorted(self._columns, key=lambda column: not column.breaks):
            widths[column] = min(column.whole, column.least + spare)
            spare -= widths[column] - column.least
        table = empty_table()
        for column in self._columns:
            justify: Literal["left", "right"] = "right" if column.numeric else "left"
            table.add_column(column.head, justify=justify, width=widths[column])
        for cells in zip(*(column.cells for column in self._columns), strict=True):
            table.add_row(*cells)
        return table
