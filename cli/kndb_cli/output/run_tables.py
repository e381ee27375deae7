"""Rows of runs as a table for each run. Imported only when a table is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from kndb_cli.output.fitting import generic
from kndb_cli.output.rows import Listing, Rows


def run_tables(found: Rows, heads: Mapping[str, str]) -> RenderableType:
    """A table for the rows of each run, whose last two columns, model and run id, are its title.

    Rows of a run must follow each other. ``heads`` has the heads of columns whose names are not.
    """
    names = tuple(heads.get(name, name) for name in found.columns[:-2])
    parts: list[RenderableType] = []
    for (model, run), rows in groupby(found.rows(), key=lambda row: row[-2:]):
        title = Text.assemble((model, "bold cyan"), (f"  run {run}", "dim"))
        parts += [title, generic(Listing(names, [row[:-2] for row in rows])), Text()]
    return Group(*parts[:-1])
