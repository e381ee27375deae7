"""``kndb graph searches``: the searches for degenerate neurons that are stored."""

from __future__ import annotations

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit_newest

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
    emit_newest(found, target)
