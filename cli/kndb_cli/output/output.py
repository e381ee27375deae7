"""Decides where data goes and in which format. Contains no commands or queries.

By default a terminal gets a table, a pipe gets CSV, and a file gets the format of its suffix;
``--format`` overrides this. ``kndb.files`` writes the files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from kndb import plain
from kndb.errors import UsageError
from kndb.files import Pipe, chosen_format, text_of, whole_file
from kndb_cli.output.formats import Format
from kndb_cli.output.rows import Listing, Rows
from kndb_cli.output.terminal import (
    VisibleBytes,
    let_go_of_stdout,
    made_visible,
    note,
    visible,
)
from kndb_cli.output.writers import (
    Writer,
    write_csv,
    write_json,
    write_jsonl,
    write_md,
    write_parquet,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    Layout = Callable[[Rows], RenderableType]

ENDINGS: dict[str, Format] = {
    ".txt": "table",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".md": "md",
    ".parquet": "parquet",
}
"""Format by file suffix."""

STDOUT = Path("-")
"""The value of -o that stands for standard output."""

TERMINAL_ROWS = 1000  # laying out more takes seconds, and nobody scrolls through them

_WRITERS: dict[Format, Writer] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "md": write_md,
    "parquet": write_parquet,
}


@dataclass(frozen=True)
class Output:
    """Where data goes and in which format.

    Attributes:
        format: the format.
        path: the file; None for standard output.
        quiet: whether notes are left out.
        limit: the most rows; None for all.
    """

    format: Format
    path: Path | None
    quiet: bool
    limit: int | None = None


def choose(
    format: Format | None,
    json: bool,
    path: Path | None,
    quiet: bool,
    limit: int | None = None,
) -> Output:
    """Choose the format: the requested one, else by the file's suffix, else what suits stdout.

    Raises:
        UsageError: the format is unknown or contradictory, or binary data would go to a terminal.
    """
    if json and format not in (None, "json"):
        raise UsageError(f"--json and --format {format} contradict each other; give only one.")
    said: Format | None = "json" if json else format
    if path not in (None, STDOUT):
        return Output(chosen_format(path, said, ENDINGS), path, quiet, limit)
    chosen = said or ("table" if sys.stdout.isatty() else "csv")
    if chosen == "parquet" and sys.stdout.isatty():
        raise UsageError(
            "Parquet cannot be shown in a terminal; write a file with -o FILE.parquet."
        )
    return Output(chosen, None, quiet, limit)


def emit(data: Rows, output: Output, layout: Layout | None = None) -> None:
    """Write the rows. ``layout`` draws the table, if not the usual one."""
    if output.limit is not None and data.total > output.limit:
        note(
            f"The first {output.limit:,} of {data.total:,} rows; --limit sets how many.",
            output.quiet,
        )
        data = data.head(output.limit)
    if output.path is None:
        _write_out(data, output, layout)
        return
    with whole_file(output.path) as stream, text_of(stream) as text:
        _write(data, text, output, layout)
    note(f"Wrote {len(data.rows())} rows to {output.path}.", output.quiet)


def emit_summarised(
    data: Rows, summary: Mapping[str, Any], output: Output, layout: Layout | None = None
) -> None:
    """Write rows; JSON is an object with the summary and the rows."""
    if output.format != "json":
        emit(data, output, layout)
        return
    (head,) = plain.json_objects(tuple(summary), [tuple(summary.values())])
    with opened(output.path or STDOUT, binary=False) as stream, text_of(stream) as text:
        plain.write_summarised(head, plain.json_objects(data.columns, data.rows()), text)
    if output.path is not None:
        note(f"Wrote {len(data.rows())} rows to {output.path}.", output.quiet)


def emit_newest(data: Rows, output: Output, layout: Layout | None = None) -> None:
    """Write rows that are listed by age, the newest last; a limit leaves out the oldest."""
    rows = data.rows()
    if output.limit is not None and len(rows) > output.limit:
        note(
            f"The newest {output.limit:,} of {len(rows):,} rows; --limit sets how many.",
            output.quiet,
        )
        data = Listing(data.columns, rows[-output.limit :])
    emit(data, output, layout)


def _write_out(data: Rows, output: Output, layout: Layout | None) -> None:
    try:
        _write(data, sys.stdout, output, layout)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        let_go_of_stdout()


def _write(data: Rows, stream: TextIO, output: Output, layout: Layout | None) -> None:
    if output.format == "table":
        _write_table(data, stream, layout, output.quiet)
    else:
        text = made_visible(stream)
        _WRITERS[output.format](data, text)
        text.flush()


def _write_table(data: Rows, stream: TextIO, layout: Layout | None, quiet: bool) -> None:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.fitting import generic, left_out
    from kndb_cli.output.tables import console, draw

    shown, count = data, len(data.rows())
    if stream.isatty() and count > TERMINAL_ROWS:
        shown = data.head(TERMINAL_ROWS)
    table = (layout or generic)(_readable(shown))
    draw(table, stream)
    hidden = left_out(table, console(stream).width) if stream.isatty() else []
    if hidden:
        n = "1 column is" if len(hidden) == 1 else f"{len(hidden)} columns are"
        shows = "--format json or a wider terminal shows"
        note(f"{n} hidden: {', '.join(hidden)}; {shows} all.", quiet)
    if shown is not data:
        note(f"Showing the first {TERMINAL_ROWS} of {count} rows; -o FILE writes them all.", quiet)


def _readable(data: Rows) -> Rows:
    """The same with ``visible`` texts, before a layout measures them."""
    rows = [tuple(visible(v) if isinstance(v, str) else v for v in row) for row in data.rows()]
    return Listing([visible(name) for name in data.columns], rows)


def file_format(
    path: Path, asked: str | None, endings: Mapping[str, str], default: str | None = None
) -> str:
    """The format of a file: the requested one, or by its suffix; ``default`` for stdout.

    Raises:
        UsageError: there is no format, or the two contradict each other.
    """
    if path != STDOUT:
        return chosen_format(path, asked, endings)
    if found := asked or default:
        return found
    choices = "|".join(dict.fromkeys(endings.values()))
    raise UsageError(f"Standard output has no suffix; give --format {choices}.")


@contextmanager
def opened(path: Path, *, binary: bool = False) -> Iterator[BinaryIO]:
    """A stream to write a whole file to; ``-`` is standard output.

    Raises:
        UsageError: binary data would go to a terminal; also as ``kndb.files.whole_file``.
        KndbError: the file cannot be written.
    """
    if path != STDOUT:
        with whole_file(path) as stream:
            yield stream
        return
    if binary and sys.stdout.isatty():
        raise UsageError("Binary data cannot be shown in a terminal; write a file with -o FILE.")
    if sys.stdout.isatty():
        yield cast(BinaryIO, VisibleBytes(sys.stdout))
        return
    with Pipe(sys.stdout.buffer) as pipe:
        yield cast(BinaryIO, pipe)


def named(path: Path) -> str:
    """The target of ``-o``, for messages."""
    return "standard output" if path == STDOUT else str(path)
