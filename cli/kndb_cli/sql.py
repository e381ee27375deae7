"""``kndb sql``: one read-only SQL query, from the command line or from standard input."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import kndb
from kndb.errors import UsageError
from kndb_cli import options
from kndb_cli.output import choose, emit

app = typer.Typer()


@app.command()
def sql(
    statement: Annotated[
        str | None,
        typer.Argument(metavar="[SQL]", help="The query; left out or -: read from stdin."),
    ] = None,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Ask the database in SQL. It can read this database and nothing else.

    kndb sql "SELECT lang, count(*) FROM prompt GROUP BY lang"
    kndb sql --json < question.sql

    'kndb db schema' describes the tables and views.
    """
    target = choose(format, json, output, quiet)
    question = _from_stdin() if statement is None or statement == "-" else statement
    with kndb.open(db) as database:
        found = database.sql(question)
    emit(found, target)


def _from_stdin() -> str:
    text = "" if sys.stdin.isatty() else sys.stdin.read()
    if not text.strip():
        raise UsageError("No SQL was given; write it after 'kndb sql', or pipe it in.")
    return text
