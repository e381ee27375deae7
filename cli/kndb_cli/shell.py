"""``kndb shell``: SQL at a prompt, with DuckDB's own program or a small one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kndb.errors import KndbError
from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.errors import explain
from kndb_cli.output import Output, choose, emit
from kndb_cli.output.terminal import note

app = typer.Typer()

_QUIT = frozenset({".quit", ".exit", "exit", "quit"})
_DROPPED = "\x03"
"""In place of a line: Ctrl-C was pressed, which drops the lines before it."""

_TABLES = "SELECT name FROM (SHOW TABLES) WHERE name <> 'alembic_version'"


@app.command()
def shell(
    plain: Annotated[
        bool,
        typer.Option("--plain", metavar="", help="kndb's own prompt, also where DuckDB's is."),
    ] = False,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask the database in SQL at a prompt. Nothing can be changed.

    kndb shell
    kndb shell --plain

    If the program 'duckdb' is installed, it opens the file, read-only. Else each query ends in ';'
    and runs as in 'kndb sql'; .tables lists tables and views, .quit ends.
    """
    target = choose(format, json, None, quiet)
    _check(db)
    program = None if plain else shutil.which("duckdb")
    if program is not None and sys.stdin.isatty():
        os.execv(program, [program, "-readonly", str(db)])
    note(f"{db}; queries end in ';', and .quit ends.", quiet or not sys.stdin.isatty())
    for statement in _statements():
        _answer(db, statement, target)


def _check(db: Path) -> None:
    """Open and close the database, so that an old one is upgraded and errors are told at once.

    Raises:
        DatabaseError: it cannot be opened.
    """
    with opened(db):
        pass


def _answer(db: Path, statement: str, target: Output) -> None:
    # Deferred: --help needs no database.
    from kndb.store.sandbox import Limits, run_apart

    try:
        emit(run_apart(db, statement, Limits(seconds=None)).result, target)
    except KndbError as error:
        explain(error)
    except KeyboardInterrupt:
        note("Interrupted.")


def _statements() -> Iterator[str]:
    """What is typed, statement by statement, until the end."""
    held: list[str] = []
    while (line := _line("kndb> " if not held else "  ... ")) is not None:
        word = line.strip()
        if word in _QUIT:
            return
        if line == _DROPPED:
            held = []
        elif word == ".tables":
            yield _TABLES
        elif word.startswith(".") and not held:
            note(f"There is no {word}; .tables lists tables and views, .quit ends.")
        elif word:
            held.append(line)
        if held and word.endswith(";"):
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def _line(prompt: str) -> str | None:
    """The next line; None at the end, ``_DROPPED`` after Ctrl-C."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None
    with suppress(ImportError):
        import readline  # noqa: F401  # Editing and history, where the system has it.
    try:
        return input(prompt)
    except KeyboardInterrupt:
        print()
        return _DROPPED
    except EOFError:
        print()
        return None
