"""Writes rows in each format: one function per format, all ``(rows, stream)``. Opens no files.

CSV has a header line, numbers in full precision, an empty field for NULL, and JSON in a field
that holds a list or a structure. JSON is one array, with one object to a line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from kndb import plain
from kndb_cli.output.rows import Rows

Writer = Callable[[Rows, TextIO], None]


def write_csv(data: Rows, stream: TextIO) -> None:
    """Comma-separated values."""
    write_row = csv_lines(stream)
    write_row(data.columns)
    for row in data.rows():
        write_row([_field(value) for value in row])


def csv_lines(stream: TextIO) -> Callable[[Sequence[Any]], None]:
    """A function that writes one row. Python's writer leaves a carriage return unquoted."""
    plainly = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write_row(row: Sequence[Any]) -> None:
        has_return = any(isinstance(value, str) and "\r" in value for value in row)
        (quoted if has_return else plainly).writerow(row)

    return write_row


def write_jsonl(data: Rows, stream: TextIO) -> None:
    """One JSON object to a line."""
    plain.write_jsonl(plain.json_objects(data.columns, data.rows()), stream)


def write_json(data: Rows, stream: TextIO) -> None:
    """One JSON array."""
    plain.write_json(plain.json_objects(data.columns, data.rows()), stream)


def write_md(data: Rows, stream: TextIO) -> None:
    """A table in Markdown, with numbers rounded as in a terminal's table."""
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb.cells import is_numeric
    from kndb_cli.output.tables import by_column, column_cells

    columns = by_column(data)
    cells = [[_md(cell.plain) for cell in column_cells(values)] for values in columns]
    rules = ["---:" if is_numeric(values) else "---" for values in columns]
    for line in ([_md(name) for name in data.columns], rules, *zip(*cells, strict=True)):
        stream.write(f"| {' | '.join(line)} |\n")


def _md(text: str) -> str:
    """A text in a cell of a Markdown table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def write_parquet(data: Rows, stream: TextIO) -> None:
    """A Parquet file, onto the stream's bytes."""
    # Deferred: only this format needs it; saves 0.1 s.
    import pyarrow.parquet as pq

    sink = io.BytesIO()  # the writer needs to know its position, which a pipe does not have
    pq.write_table(data.to_arrow(), sink)
    stream.buffer.write(sink.getbuffer())
    stream.buffer.flush()


def _field(value: Any) -> Any:
    value = plain.plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
