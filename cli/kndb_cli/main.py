"""The program ``kndb``: finds the command, runs it, and turns its outcome into an exit code.

Only the requested command's module is imported; commands import the heavy parts of the library
when they run. The commands themselves live in their own modules.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import Annotated

import typer

from kndb.progress import listen
from kndb_cli import completion
from kndb_cli.errors import ExitCode, explain, is_interrupt
from kndb_cli.hiding import hidden, not_imported
from kndb_cli.output.pager import paging
from kndb_cli.output.terminal import let_go_of_stdout, library_notes, note, use_utf8, visible
from kndb_cli.parsing import Group, with_classes
from kndb_cli.settings import configured

COMMANDS = (
    "demo",
    "ingest",
    "import",
    "merge",
    "query",
    "facts",
    "neurons",
    "relations",
    "languages",
    "diff",
    "models",
    "datasets",
    "edit",
    "graph",
    "factcheck",
    "evaluate",
    "runs",
    "serve",
    "sql",
    "shell",
    "export",
    "db",
    "config",
)

# When a process ends, Python would look for garbage in all that was imported, which takes 5 % of a
# query's time; the system takes the memory back anyway.
atexit.register(gc.freeze)

EPILOG = (
    "New here? [bold]kndb demo[/bold] is a one-minute tour. The examples in each command's help "
    "work on its database: [bold]export KNDB_DB=demo.duckdb[/bold]."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (without the program name) and return the exit code."""
    if (typed := completion.asked()) is not None:
        return _complete(typed)
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    use_utf8()
    listen(note)
    try:
        with (
            # No command needs it. DuckDB imports it with the first parameter of a query, and
            # Arrow with its first array, which takes 0.4 s.
            not_imported("pandas"),
            configured(),
            library_notes(quiet=not {"-q", "--quiet"}.isdisjoint(args)),
            paging("--no-pager" not in args),
        ):
            return _run(_asked([arg for arg in args if arg not in ("--debug", "--no-pager")]))
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        let_go_of_stdout()
        return ExitCode.DONE
    except Exception as error:
        if is_interrupt(error):
            return _interrupted()
        if debug and not isinstance(error, typer.TyperException):
            import traceback  # Deferred: saves 0.02 s.

            print(visible("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        if isinstance(error, OSError):
            let_go_of_stdout()
        return explain(error)


def _show_version(wanted: bool) -> None:
    if wanted:
        # Deferred: saves 0.01 s for everything but --version.
        from importlib.metadata import version

        print(f"kndb {version('kndb')}")
        raise typer.Exit


def _asked(args: list[str]) -> list[str]:
    """The same; ``kndb help runs`` is short for ``kndb runs --help``."""
    return [*args[1:], "--help"] if args[:1] == ["help"] else args


def _run(args: list[str]) -> int:
    try:
        code = application(args)(args=args, prog_name="kndb", standalone_mode=False)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer and Rich turn it into exit code 1
            raise end.__context__ from None
        raise
    if code == ExitCode.INTERRUPTED:
        return _interrupted()
    sys.stdout.flush()  # so that a full disk is reported here, not when the interpreter exits
    return code if isinstance(code, int) else ExitCode.DONE


def _complete(typed: list[str]) -> int:
    """Print what completes these words. Whatever is wrong, somebody is typing: nothing is said."""
    # Typer would use Rich for the help beside each name, which takes 0.1 s.
    with suppress(Exception), configured(), hidden("rich"):
        application(typed)(args=[], prog_name="kndb", standalone_mode=False)
    return ExitCode.DONE


def application(args: Sequence[str]) -> typer.Typer:
    """The Typer application with the command named in ``args``, or with all commands.

    Adding only one command saves the time to build the options of the others.
    """
    app = typer.Typer(
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(cls=Group, no_args_is_help=True, epilog=EPILOG)(kndb)
    named = next((arg for arg in args if not arg.startswith("-")), None)
    for name in (named,) if named in COMMANDS else COMMANDS:
        module = f"{name}_" if iskeyword(name) else name
        app.add_typer(import_module(f"kndb_cli.{module}").app)
    return with_classes(app)


def kndb(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            is_eager=True,
            callback=_show_version,
            help="Print the version and exit.",
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", metavar="", help="Show a traceback for errors, with any command."),
    ] = False,
    no_pager: Annotated[
        bool,
        typer.Option(
            "--no-pager", metavar="", help="Show long tables without a pager, with any command."
        ),
    ] = False,
) -> None:
    """Find, store and query the neurons with which language models recall facts."""


def _interrupted() -> int:
    note("Interrupted.")
    return ExitCode.INTERRUPTED
