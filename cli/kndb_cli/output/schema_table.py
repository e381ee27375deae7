"""The schema's documentation for people. Imported only when a table is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kndb_cli.output.rows import Rows


def schema_table(data: Rows) -> RenderableType:
    """Each table or view as a heading, followed by a line for each column.

    ``data`` has the columns of ``kndb.store.describe.SchemaRow``.
    """
    parts: list[RenderableType] = []
    for _, (head, *columns) in groupby(data.rows(), key=lambda row: row[0]):
        name, kind, _, _, comment = head
        parts.append(Text.assemble((name, "bold cyan"), (f" ({kind})", "dim"), f" {comment}"))
        parts += [_columns(columns), Text()]
    return Group(*parts[:-1])


def _columns(rows: Iterable[Sequence[Any]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=2)
    for style in ("bold", "dim", ""):
        grid.add_column(style=style, overflow="fold")
    for _, _, column, type_, comment in rows:
        grid.add_row("", Text(column), Text(type_), Text(comment or ""))
    return grid
