"""Writes rows in each format: one function per format, all ``(rows, stream)``. Opens no files.

JSON is one array, with one object to a line.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TextIO

from kndb import plain
from kndb_cli.output.rows import Rows

Writer = Callable[[Rows, TextIO], None]


def write_csv(data: Rows, stream: TextIO) -> None:
    """Comma-separated values."""
    plain.write_csv(data.columns, data.rows(), stream)


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
