"""``kndb relations``: what the database knows facts of."""

from __future__ import annotations

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit

app = typer.Typer()


@app.command()
def relations(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the relations, with how many facts and languages each has.

    kndb relations --json
    """
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.relations()
    emit(found, target)
