"""Writes rows as they arrive: CSV and JSONL row by row, other formats at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from kndb.files import text_of, whole_file
from kndb.plain import csv_lines, json_objects, plain, write_jsonl
from kndb_cli.output import Output, emit
from kndb_cli.output.rows import Listing
from kndb_cli.output.terminal import let_go_of_stdout, made_visible, note

if TYPE_CHECKING:
    from kndb_cli.output.output import Layout

Row = tuple[Any, ...]


def stream(
    columns: Sequence[str], rows: Iterable[Row], output: Output, layout: Layout | None = None
) -> None:
    """Write rows; for CSV and JSONL they are not kept in memory. ``layout`` draws a table."""
    if output.format not in ("csv", "jsonl"):
        emit(Listing(columns, list(rows)), output, layout)
        return
    if output.path is None:
        try:
            _write(columns, rows, made_visible(sys.stdout), output)
        except BrokenPipeError:  # the reader, such as head, has closed the pipe
            let_go_of_stdout()
        return
    with whole_file(output.path) as file, text_of(file) as text:
        count = _write(columns, rows, text, output)
    note(f"Wrote {count} rows to {output.path}.", output.quiet)


def _write(columns: Sequence[str], rows: Iterable[Row], stream: TextIO, output: Output) -> int:
    count = 0
    write_row = csv_lines(stream)
    if output.format == "csv":
        write_row(columns)
    for count, row in enumerate(rows, 1):  # noqa: B007  # the number of rows is returned
        if output.format == "csv":
            write_row([plain(value) for value in row])
        else:
            write_jsonl(json_objects(columns, [row]), stream)
        stream.flush()
    return count
