"""``kndb db``: the state, upgrade, check, backup, sorting and schema of the database file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kndb_cli import completion, options
from kndb_cli.errors import ExitCode
from kndb_cli.output import choose, emit
from kndb_cli.output.rows import Listing
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer(
    name="db",
    no_args_is_help=True,
    help="Manage the database file: status, upgrade, check, backup, optimize, schema.",
)


@app.command()
def status(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Show the database's revision and size, and the number of rows in each table."""
    from kndb.store.describe import database_status

    target = choose(format, json, output, quiet)
    found = database_status(db)
    facts = {
        "path": str(found.path),
        "revision": found.revision,
        "newest_revision": found.head,
        "is_current": found.is_current,
        "bytes": found.size,
        **{f"rows_{table}": rows for table, rows in found.rows.items()},
    }
    emit(Listing(tuple(facts), [tuple(facts.values())]), target, _one_record)


@app.command()
def upgrade(db: options.Database = options.DATABASE, quiet: options.Quiet = False) -> None:
    """Upgrade the database to the newest revision. Other commands do this automatically."""
    from kndb.store.database import upgrade as upgrade_database
    from kndb.store.describe import database_status

    before = database_status(db)
    upgrade_database(db)
    if before.is_current:
        note(f"Nothing to do: {db} is at the newest revision, {before.head}.", quiet)
    else:
        note(f"Upgraded {db} from revision {before.revision} to {before.head}.", quiet)


@app.command()
def check(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Check every block, id, reference, range and count. One line per problem, and exit code 1."""
    from kndb.store.check import Problem, check_database

    target = choose(format, json, output, quiet)
    problems = check_database(db)
    if problems or target.path or target.format != "table":
        emit(Listing(Problem._fields, problems), target)
    if problems:
        raise typer.Exit(ExitCode.FAILED)
    note(f"{db} is sound.", quiet)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.", show_default=False)],
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Copy the database to a new file, consistent even while others read it.

    The folder with every score (kndb ingest --keep all) is copied, too.
    """
    from kndb.store.backup import backup as copy

    size = copy(db, file)
    note(f"Copied {db} to {file}, {size / 2**20:,.1f} MiB.", quiet)


@app.command()
def optimize(db: options.Database = options.DATABASE, quiet: options.Quiet = False) -> None:
    """Sort the tables and drop free space. After large ingests queries are then faster."""
    from kndb.store.rewriting import optimize as rewrite
    from kndb_cli.output.progress import reporting

    with reporting("Sorting", "rows", quiet) as report:
        before, after = rewrite(db, report=report)
    note(f"Sorted {db}: {before / 2**20:,.1f} MiB before, {after / 2**20:,.1f} MiB now.", quiet)


@app.command()
def schema(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[TABLE]", help="Only this table or view.", autocompletion=completion.tables
        ),
    ] = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
    db: options.Database = options.DATABASE,
) -> None:
    """Describe all tables, views and columns of the newest revision. Needs no database."""
    from kndb.errors import UsageError
    from kndb.store.describe import SchemaRow, describe_schema

    target = choose(format, json, output, quiet)
    rows = describe_schema()
    wanted = [row for row in rows if table in (None, row.name)]
    if not wanted:
        names = ", ".join(dict.fromkeys(row.name for row in rows))
        raise UsageError(f"There is no table or view {table!r}; choose from {names}.")
    emit(Listing(SchemaRow._fields, wanted), target, _documentation)


def _one_record(data: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.tables import blocks

    return blocks(data)


def _documentation(data: Rows) -> RenderableType:
    from kndb_cli.output.schema_table import schema_table

    return schema_table(data)
