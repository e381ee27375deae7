"""``kndb runs``: lists the runs."""

from __future__ import annotations

import typer

import kndb
from kndb_cli import options
from kndb_cli.output import choose, emit

app = typer.Typer()


@app.command()
def runs(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """List the runs: model, data set, preset, state and counts of prompts."""
    target = choose(format, json, output, quiet)
    with kndb.open(db) as database:
        found = database.runs()
    emit(found, target)
