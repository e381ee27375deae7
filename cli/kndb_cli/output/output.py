"""Where data goes and in which form. Knows no command and no query.

A terminal gets a table, a pipe gets CSV, a file gets the form its name ends in; ``--format`` says
otherwise. A file is written beside its place and then renamed: it is complete or not there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from kndb.errors import UsageError
from kndb_cli.output.formats import FORMATS, Format
from kndb_cli.output.rows import Listing, Rows
from kndb_cli.output.terminal import let_go_of_stdout, note
from kndb_cli.output.writers import Writer, write_csv, write_json, write_jsonl, write_parquet

if TYPE_CHECKING:
    from rich.console import RenderableType

    Layout = Callable[[Rows], RenderableType]

SUFFIXES: dict[str, Format] = {
    ".txt": "table",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}

TERMINAL_ROWS = 1000  # laying out more takes seconds, and nobody scrolls through it

_WRITERS: dict[Format, Writer] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


@dataclass(frozen=True)
class Output:
    """Where data goes and in which form. ``path`` None is standard output."""

    format: Format
    path: Path | None
    quiet: bool


def choose(format: Format | None, json: bool, path: Path | None, quiet: bool) -> Output:
    """Settle the form: what was said, else what the file's name says, else what suits stdout.

    Raises:
        UsageError: two forms were asked for, the file's name says none, or binary data would go
            to a terminal.
    """
    if json and format not in (None, "json"):
        raise UsageError(f"--json and --format {format} contradict each other; give one of them.")
    said: Format | None = "json" if json else format
    if path is not None:
        return Output(said or _format_of(path), path, quiet)
    chosen = said or ("table" if sys.stdout.isatty() else "csv")
    if chosen == "parquet" and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal's eyes; give a file with -o FILE.parquet.")
    return Output(chosen, None, quiet)


def _format_of(path: Path) -> Format:
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            f"The name {path.name!r} does not say a format; give --format "
            f"{'|'.join(FORMATS)}, or end the name in {', '.join(SUFFIXES)}."
        )
    return found


def emit(data: Rows, output: Output, layout: Layout | None = None) -> None:
    """Write the rows. ``layout`` draws the table where the usual one does not serve."""
    if output.path is None:
        _write_out(data, output, layout)
        return
    with (
        complete_file(output.path) as part,
        part.open("w", encoding="utf-8", newline="") as stream,
    ):
        _write(data, stream, output, layout)
    note(f"Wrote {len(data.rows())} rows to {output.path}.", output.quiet)


def _write_out(data: Rows, output: Output, layout: Layout | None) -> None:
    try:
        _write(data, sys.stdout, output, layout)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        let_go_of_stdout()


def _write(data: Rows, stream: TextIO, output: Output, layout: Layout | None) -> None:
    if output.format == "table":
        _write_table(data, stream, layout, output.quiet)
    else:
        _WRITERS[output.format](data, stream)


def _write_table(data: Rows, stream: TextIO, layout: Layout | None, quiet: bool) -> None:
    # Here, because only tables need it: saves the import of Rich, 0.05 s, in every pipe.
    from kndb_cli.output.tables import draw, generic

    shown, count = data, len(data.rows())
    if stream.isatty() and count > TERMINAL_ROWS:
        shown = Listing(data.columns, data.rows()[:TERMINAL_ROWS])
    draw((layout or generic)(shown), stream)
    if shown is not data:
        note(f"These are the first {TERMINAL_ROWS} of {count} rows; -o FILE writes all.", quiet)


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """A path to write to, renamed to ``path`` when the block ends well, and else removed.

    Raises:
        UsageError: ``path`` is a folder, or its folder does not exist.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}; make it, or give another path.")
    if path.exists() and not path.is_file():  # /dev/null, a named pipe: nothing to rename
        yield path
        return
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
