"""``kndb graph searches``: the searches for degenerate neurons that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit_newest

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer()


@app.command()
def searches(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.NewestLimit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the searches for degenerate neurons: model, run, state, settings and what they found.

    kndb graph searches
    kndb graph searches --json

    Other commands take a search's id as --search.
    """
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.searches()
    emit_newest(found, target, _table)


def _table(data: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.fitting import narrowing

    return narrowing(data, ("search_id", "model", "run_id", "status", "done", "skipped", "found"))
