"""The forms that data takes: one function for each, all of ``(rows, stream)``. Opens no files.

CSV has a header line, numbers in full precision, an empty field for NULL, and JSON in a field
that holds a list or a structure. JSON is one array, with one object to a line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from typing import Any, TextIO

from kndb_cli.output.rows import Rows, plain

Writer = Callable[[Rows, TextIO], None]


def write_csv(data: Rows, stream: TextIO) -> None:
    """Comma-separated values."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(data.columns)
    writer.writerows([_field(value) for value in row] for row in data.rows())


def write_jsonl(data: Rows, stream: TextIO) -> None:
    """One JSON object to a line."""
    for line in _objects(data):
        stream.write(line + "\n")


def write_json(data: Rows, stream: TextIO) -> None:
    """One JSON array."""
    stream.write("[")
    for number, line in enumerate(_objects(data)):
        stream.write((",\n " if number else "\n ") + line)
    stream.write("\n]\n")


def write_parquet(data: Rows, stream: TextIO) -> None:
    """A Parquet file, onto the stream's bytes."""
    # Here, because only this form needs it: saves 0.1 s at each start.
    import pyarrow.parquet as pq

    sink = io.BytesIO()  # the writer asks where it stands, which a pipe cannot tell
    pq.write_table(data.to_arrow(), sink)
    stream.buffer.write(sink.getbuffer())
    stream.buffer.flush()


def _objects(data: Rows) -> Iterator[str]:
    names = unique(data.columns)
    for row in data.rows():
        values = dict(zip(names, map(plain, row), strict=True))
        yield json.dumps(values, ensure_ascii=False)


def unique(names: Sequence[str]) -> list[str]:
    """Column names of which none covers another in an object: a repeated one gets a number.

    >>> unique(["n", "n", "m"])
    ['n', 'n_2', 'm']
    """
    found: dict[str, None] = {}
    for name in names:
        tries = chain([name], (f"{name}_{number}" for number in count(2)))
        found[next(each for each in tries if each not in found)] = None
    return list(found)


def _field(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
