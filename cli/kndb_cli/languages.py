"""``kndb languages``: the languages of the database."""

from __future__ import annotations

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit

app = typer.Typer()


@app.command()
def languages(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the languages, with how many facts, relations and prompts each has.

    kndb languages
    """
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.languages()
    emit(found, target)
