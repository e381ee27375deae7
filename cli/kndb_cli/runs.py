"""``kndb runs``: lists the runs, shows one, names one, and deletes one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kndb.errors import UsageError
from kndb_cli import completion, options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit, emit_newest
from kndb_cli.output.terminal import note, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer(name="runs", invoke_without_command=True)


@app.callback()
def runs(
    context: typer.Context,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.NewestLimit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the runs: model, data set, preset, state and counts of prompts."""
    if context.invoked_subcommand is not None:
        return
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.runs()
    emit_newest(found, target, _runs)


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's name, its id, or the first digits of that; 'kndb runs' lists them.",
        show_default=False,
        autocompletion=completion.runs,
    ),
]


@app.command()
def show(
    run: RunArgument,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Show all there is to know of a run: its model, data, settings, counts, and what used it.

    kndb runs show 6125
    """
    target = choose(format, json, output, quiet)
    with opened(db) as database:
        found = database.run(run)
    emit(found, target, _one_record)


@app.command()
def rename(
    run: RunArgument,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The name. If omitted, the run has none."),
    ] = None,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Give a run a name, which --run takes, or take its name away.

    kndb runs rename 9074 baseline
    """
    # Deferred: listing runs does not need it.
    from kndb.store.naming import name_run

    run_id = name_run(db, run, name)
    note(f"Run {run_id} is called {name}." if name else f"Run {run_id} has no name.", quiet)


_NARROW = ("run_id", "name", "model", "dataset", "preset", "status", "facts", "done", "accuracy")
_NARROWEST = ("run_id", "model", "dataset", "status", "facts", "accuracy")


def _runs(data: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.fitting import narrowing

    named = any(row[list(data.columns).index("name")] for row in data.rows())
    return narrowing(data, [each for each in _NARROW if named or each != "name"], _NARROWEST)


def _one_record(data: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.tables import blocks

    return blocks(data)


@app.command()
def delete(
    run: RunArgument,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Delete without asking.")] = False,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Delete a run with its scores, searches, calibrations and edits, and shrink the file.

    kndb runs delete 6125 --yes

    The facts, prompts and model go too if no other run uses them, and so do its files in the folder
    beside the database (kndb ingest --keep all). What would be deleted is shown
    first.
    """
    # Deferred: listing runs does not need it.
    from kndb.store.deletion import delete_run, rows_of_run
    from kndb.store.runs import named_run
    from kndb.store.score_folder import size_of_run

    found = named_run(db, run)
    rows = rows_of_run(db, found.run_id)
    note(f"Run {found.run_id}: {found.model} on {found.dataset}, preset {found.preset}.", quiet)
    for table, n in rows.items():
        note(f"  {table:<22} {n:>12,}", quiet)
    if not yes:
        _confirm(sum(rows.values()), str(db))
    before, beside = db.stat().st_size, size_of_run(db, found.run_id)
    shrunk = delete_run(db, found.run_id)
    freed = _freed(before - db.stat().st_size, shrunk)
    scores = f", and {beside / 2**20:,.1f} MiB beside it are gone" if beside else ""
    note(f"Deleted run {found.run_id}; {freed}{scores}.", quiet)


def _confirm(rows: int, db: str) -> None:
    """Ask in a terminal.

    Raises:
        UsageError: nobody is there to answer, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError("Nothing was deleted; add --yes to delete these rows.")
    if not typer.confirm(visible(f"Delete these {rows:,} rows from {db}?"), err=True):
        raise UsageError("Nothing was deleted.")


def _freed(size: int, shrunk: bool) -> str:
    if shrunk:
        return f"the file is {max(size, 0) / 2**20:,.1f} MiB smaller"
    return "its space is used again by the next runs"
