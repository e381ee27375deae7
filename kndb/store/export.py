"""Writes a table or view to a Parquet, CSV or JSON file, batch by batch, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import duckdb

from kndb.errors import UsageError
from kndb.files import chosen_format, text_of, whole_file
from kndb.plain import json_objects, write_json, write_jsonl
from kndb.store.database import connect, database_error

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""Format by file suffix."""

_BATCH_ROWS = 100_000


def export(path: str | Path, name: str, file: str | Path, format: str | None = None) -> int:
    """Write the table or view ``name`` of the database at ``path`` to ``file``.

    The file appears only when it is complete, and replaces any file of that name.

    Args:
        path: the database.
        name: a table or view; ``describe_schema`` lists them.
        file: the file to write; see ``kndb.files.whole_file``.
        format: ``parquet``, ``csv``, ``json`` or ``jsonl``; by the file's suffix if None.

    Returns:
        The number of rows written.

    Raises:
        UsageError: there is no such table or view, or no such format.
        DatabaseError: the database cannot be opened.
        KndbError: the file cannot be written.
    """
    chosen = chosen_format(Path(file), format, ENDINGS)
    with _table(path, name, chosen) as table, whole_file(file) as stream:
        return table.write(stream)


def export_into(stream: BinaryIO, path: str | Path, name: str, format: str) -> int:
    """Like ``export``, but to an open stream, such as standard output."""
    with _table(path, name, format) as table:
        return table.write(stream)


class _Table:
    """A table that is read batch by batch, and its output format."""

    def __init__(self, path: str | Path, reader: pa.RecordBatchReader, format: str) -> None:
        self._path = path
        self._reader = reader
        self._format = format
        self._rows = 0

    def write(self, stream: BinaryIO) -> int:
        """Write all of it and return the number of rows."""
        _WRITERS[self._format](self._reader.schema, self._batches(), stream)
        return self._rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._reader:
                self._rows += batch.num_rows
                yield batch
        except OSError as error:  # Arrow's for an error of DuckDB
            raise database_error(self._path, error) from error


@contextmanager
def _table(path: str | Path, name: str, format: str) -> Iterator[_Table]:
    with connect(path) as connection:
        columns = _columns(connection, name, as_text=format == "csv")
        try:
            found = connection.execute(f"SELECT {columns} FROM {name}")
            yield _Table(path, found.to_arrow_reader(_BATCH_ROWS), format)
        except duckdb.Error as error:
            raise database_error(path, error) from error


def _columns(connection: duckdb.DuckDBPyConnection, name: str, *, as_text: bool) -> str:
    """The columns of a table or view; for CSV, lists become text."""
    known: dict[str, list[str]] = {}
    for table, column, kind in connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE NOT internal AND table_name <> 'alembic_version' ORDER BY table_oid, column_index"
    ).fetchall():
        is_list = as_text and kind.endswith("[]")
        selected = f'CAST("{column}" AS VARCHAR) AS "{column}"' if is_list else f'"{column}"'
        known.setdefault(table, []).append(selected)
    if name not in known:
        raise UsageError(f"There is no table or view {name!r}; choose from {', '.join(known)}.")
    return ", ".join(known[name])


def _write_csv(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: BinaryIO) -> None:
    from pyarrow.csv import CSVWriter  # Deferred: queries need none of these.

    with CSVWriter(stream, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_parquet(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: BinaryIO) -> None:
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_json(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: BinaryIO) -> None:
    with text_of(stream) as text:
        write_json(json_objects(schema.names, _rows(batches)), text)


def _write_jsonl(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: BinaryIO) -> None:
    with text_of(stream) as text:
        write_jsonl(json_objects(schema.names, _rows(batches)), text)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


_WRITERS: dict[str, Callable[[pa.Schema, Iterator[pa.RecordBatch], BinaryIO], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
}
