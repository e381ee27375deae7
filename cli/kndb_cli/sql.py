"""``kndb sql``: one read-only SQL query, from the command line or from standard input."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kndb.errors import UsageError
from kndb_cli import completion, options
from kndb_cli.output import choose, emit
from kndb_cli.output.terminal import note

app = typer.Typer()

_LIMITS = "What the query may take"


@app.command()
def sql(
    statement: Annotated[
        str | None,
        typer.Argument(
            metavar="[SQL]",
            help="The query. If omitted or -, it is read from standard input.",
            autocompletion=completion.last_table,
        ),
    ] = None,
    db: options.Database = options.DATABASE,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="End the query after this time. Default: 30, and no limit in a terminal.",
            rich_help_panel=_LIMITS,
        ),
    ] = None,
    memory: Annotated[
        int,
        typer.Option(
            metavar="MIB", min=64, help="MiB of memory for the query.", rich_help_panel=_LIMITS
        ),
    ] = 2048,
    rows: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Keep at most this many rows.", rich_help_panel=_LIMITS
        ),
    ] = 1_000_000,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Query the database in SQL. A query can read this database and nothing else.

    kndb sql "SELECT lang, count(*) FROM prompt GROUP BY lang"
    kndb sql --json < question.sql

    The query runs in a process of its own, which can neither write nor open files.
    'kndb db schema' describes the tables and views.
    """
    target = choose(format, json, output, quiet)
    question = _given(_from_stdin() if statement is None or statement == "-" else statement)
    # Deferred: --help needs no database, so DuckDB is not imported.
    from kndb.store.sandbox import Limits, run_apart

    seconds = timeout if timeout is not None or sys.stdout.isatty() else Limits.seconds
    answer = run_apart(db, question, Limits(seconds, memory * 2**20, rows))
    emit(answer.result, target)
    if answer.cut:
        note(f"The answer has more rows; these are the first {rows}, and --rows keeps more.", quiet)


def _from_stdin() -> str:
    try:
        return "" if sys.stdin.isatty() else sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(
            "The query holds bytes that are not UTF-8 text; write it in UTF-8."
        ) from error


def _given(text: str) -> str:
    if not text.strip():
        raise UsageError("No SQL was given; write it after 'kndb sql', or pipe it in.")
    return text
