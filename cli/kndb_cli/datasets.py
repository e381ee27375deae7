"""``kndb datasets``: the data sets that can be named."""

from __future__ import annotations

from pathlib import Path

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit
from kndb_cli.output.rows import Listing

app = typer.Typer()

_BUILT_IN = ("demo", "kndb")  # its name and its format


@app.command()
def datasets(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the data sets that can be named: built in, and in the database.

    kndb datasets

    Folders and files that 'kndb ingest' can read can be named too.
    """
    target = choose(format, json, output, quiet, limit)
    stored = _stored(db)
    name, form = _BUILT_IN
    rows = [
        (stored_name, "built in, database" if stored_name == name else "database", *rest)
        for stored_name, *rest in stored
    ]
    if name not in {row[0] for row in rows}:
        rows = [(name, "built in", form, None, None), *rows]
    emit(Listing(("name", "where", "format", "facts", "runs"), rows), target)


def _stored(db: Path) -> list[tuple[str, str, int, int]]:
    if not db.exists():
        return []
    with opened(db) as database:
        return [(name, form, facts, runs) for name, form, facts, runs in database.datasets()]
