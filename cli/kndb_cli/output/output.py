"""Where data goes and in which form. Knows no command and no query.

A terminal gets a table, a pipe gets CSV, a file gets the form its name ends in; ``--format`` says
otherwise. How files are written is said in ``kndb.files``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from kndb.errors import UsageError
from kndb.files import Pipe, chosen_format, text_of, whole_file
from kndb_cli.output.formats import Format
from kndb_cli.output.rows import Listing, Rows
from kndb_cli.output.terminal import let_go_of_stdout, note
from kndb_cli.output.writers import Writer, write_csv, write_json, write_jsonl, write_parquet

if TYPE_CHECKING:
    from rich.console import RenderableType

    Layout = Callable[[Rows], RenderableType]

ENDINGS: dict[str, Format] = {
    ".txt": "table",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""The format of each ending of a file's name."""

STDOUT = Path("-")
"""What -o calls standard output."""

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
    if path not in (None, STDOUT):
        return Output(chosen_format(path, said, ENDINGS), path, quiet)
    chosen = said or ("table" if sys.stdout.isatty() else "csv")
    if chosen == "parquet" and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal's eyes; give a file with -o FILE.parquet.")
    return Output(chosen, None, quiet)


def emit(data: Rows, output: Output, layout: Layout | None = None) -> None:
    """Write the rows. ``layout`` draws the table where the usual one does not serve."""
    if output.path is None:
        _write_out(data, output, layout)
        return
    with whole_file(output.path) as stream, text_of(stream) as text:
        _write(data, text, output, layout)
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
    from kndb_cli.output.fitting import generic
    from kndb_cli.output.tables import draw

    shown, count = data, len(data.rows())
    if stream.isatty() and count > TERMINAL_ROWS:
        shown = Listing(data.columns, data.rows()[:TERMINAL_ROWS])
    draw((layout or generic)(shown), stream)
    if shown is not data:
        note(f"These are the first {TERMINAL_ROWS} of {count} rows; -o FILE writes all.", quiet)


def file_format(
    path: Path, asked: str | None, endings: Mapping[str, str], default: str | None = None
) -> str:
    """The format of a file: the one asked for, or what its name says; ``default`` on stdout.

    Raises:
        UsageError: the name says none, or another than was asked for.
    """
    if path != STDOUT:
        return chosen_format(path, asked, endings)
    if found := asked or default:
        return found
    choices = "|".join(dict.fromkeys(endings.values()))
    raise UsageError(f"Standard output has no name to end in; give --format {choices}.")


@contextmanager
def opened(path: Path, *, binary: bool = False) -> Iterator[BinaryIO]:
    """A stream to write a whole file to; ``-`` is standard output.

    Raises:
        UsageError: binary data would go to a terminal, or as ``kndb.files.whole_file``.
        KndbError: the file cannot be written.
    """
    if path != STDOUT:
        with whole_file(path) as stream:
            yield stream
        return
    if binary and sys.stdout.isatty():
        raise UsageError("Binary data cannot go to a terminal; give a file with -o FILE.")
    with Pipe(sys.stdout.buffer) as pipe:
        yield cast(BinaryIO, pipe)


def named(path: Path) -> str:
    """What ``-o`` meant, for people."""
    return "standard output" if path == STDOUT else str(path)
