"""Writes rows in each format: one function per format, all ``(rows, stream)``. Opens no files.

CSV has a header line, numbers in full precision, an empty field for NULL, and JSON in a field
that holds a list or a structure. JSON is one array, with one object to a line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, TextIO

from kndb import plain
from kndb_cli.output.rows import Rows

Writer = Callable[[Rows, TextIO], None]


def write_csv(data: Rows, stream: TextIO) -> None:
    """Comma-separated values."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(data.columns)
    writer.writerows([_field(value) for value in row] for row in data.rows())


def write_jsonl(data: Rows, stream: TextIO) -> None:
    """One JSON object to a line."""
    plain.write_jsonl(plain.json_objects(data.columns, data.rows()), stream)


def write_json(data: Rows, stream: TextIO) -> None:
    """One JSON array."""
    plain.write_json(plain.json_objects(data.columns, data.rows()), stream)


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
