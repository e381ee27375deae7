"""``kndb serve``: the database in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from kndb.errors import UsageError
from kndb_cli import options
from kndb_cli.completion import loadable
from kndb_cli.errors import resumable
from kndb_cli.options.model import Device, Dtype, chosen, loading
from kndb_cli.output.progress import reporting
from kndb_cli.output.terminal import note

app = typer.Typer()

_EXPORT = "As files"


@app.command()
def serve(
    db: options.Database = options.DATABASE,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen. Anything but this machine's own address needs --token.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Port to listen at; 0 takes a free one. Default: 8765, or a free one.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="KNDB_TOKEN",
            help="What a browser must know: http://.../?token=TOKEN. At least 16 characters.",
        ),
    ] = None,
    sql: Annotated[
        bool, typer.Option("--sql/--no-sql", help="Whether there is a page for queries in SQL.")
    ] = True,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Load this model, and have a page that checks claims with it.",
            autocompletion=loadable,
        ),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the site into this folder instead, as files for any web host.",
            rich_help_panel=_EXPORT,
        ),
    ] = None,
    most: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Export at most this many pages.", rich_help_panel=_EXPORT
        ),
    ] = 20_000,
    quiet: options.Quiet = False,
    open: Annotated[bool, typer.Option("--open", metavar="", help="Open it in a browser.")] = False,
) -> None:
    """See the database in a browser: search, facts, neurons, relations, languages, edits.

    kndb serve
    kndb serve --port 9000 --open
    kndb serve --model demo-masked
    kndb serve --export site

    It only reads, and lets other commands write meanwhile. Each page is also data: add .json or
    .csv to its address. Ctrl-C ends it.
    """
    serve = _extra()
    choice = None if model is None else chosen(model, device, dtype, None, quiet=quiet)
    # Deferred: --help needs no database.
    from kndb_cli.database import opened

    with opened(db):
        pass  # what is wrong with the file is said here, not by the first page

    if export is not None:
        _export(db, export, most, quiet)
        return
    if choice is not None:
        loading(choice, quiet)

    def ready(address: str) -> None:
        note(f"{db} is at {address}; Ctrl-C ends it.", quiet)
        if open:
            import webbrowser  # Deferred: only this option needs it.

            webbrowser.open(address + (f"?token={token}" if token else ""))

    serve(db, host, port, token, ready, sql=sql, model=choice)


def _export(db: Path, folder: Path, most: int, quiet: bool) -> None:
    """Write the site as files, with a progress bar on stderr."""
    from kndb_serve.export import export_site

    kept = "Pages are written one by one, each as a whole; run the same command for the rest."
    with resumable(kept, quiet), reporting(db.name, "pages", quiet) as report:
        done = export_site(db, folder, most, report)
    left = f" {done.left_out:,} more are left out; --most takes more." if done.left_out else ""
    note(f"{folder}: {done.pages:,} pages, {done.size / 2**20:.1f} MiB.{left}", quiet)


def _extra() -> Callable[..., None]:
    """The server, which is an extra.

    Raises:
        UsageError: it is not installed.
    """
    try:
        from kndb_serve.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "jinja2", "anyio", "markupsafe"):
            raise
        raise UsageError(
            f"kndb serve needs {error.name}; install it with `pip install 'kndb[serve]'`."
        ) from error
    return serve
