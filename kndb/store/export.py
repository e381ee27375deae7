"""Writes a table or view to a Parquet or CSV file, batch by batch, whatever its size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kndb.errors import KndbError, UsageError
from kndb.store.database import connect, database_error

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("parquet", "csv")
_BATCH_ROWS = 100_000


def export(path: str | Path, name: str, file: str | Path, format: str | None = None) -> int:
    """Write the table or view ``name`` of the database at ``path`` to ``file``.

    The file appears only when it is complete, and replaces one of that name.

    Args:
        path: the database.
        name: a table or view; ``describe_schema`` lists them.
        file: the file to write.
        format: ``parquet`` or ``csv``; without it, the file's suffix says.

    Returns:
        The number of rows written.

    Raises:
        UsageError: there is no such table or view, or no such format.
        DatabaseError: the database cannot be opened.
        KndbError: the file cannot be written.
    """
    file = Path(file)
    chosen = _format(file, format)
    with connect(path) as connection:
        columns = _columns(connection, name, as_text=chosen == "csv")
        try:
            reader = connection.execute(f"SELECT {columns} FROM {name}").to_arrow_reader(
                _BATCH_ROWS
            )
            with _complete(file) as partial:
                return _write(reader, partial, chosen)
        except duckdb.Error as error:
            raise database_error(path, error) from error


def _format(file: Path, format: str | None) -> str:
    chosen = (format or file.suffix.removeprefix(".")).lower()
    if chosen not in FORMATS:
        raise UsageError(f"{chosen!r} is not a format to export to; use {' or '.join(FORMATS)}.")
    return chosen


def _columns(connection: duckdb.DuckDBPyConnection, name: str, *, as_text: bool) -> str:
    """The columns of a table or view; for CSV, which has no lists, lists become text."""
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


@contextmanager
def _complete(file: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``file`` when the block ends well, or else is removed."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(file)
    except OSError as error:
        raise KndbError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _write(reader: pa.RecordBatchReader, file: Path, format: str) -> int:
    rows = 0
    with _writer(reader.schema, file, format) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _writer(schema: pa.Schema, file: Path, format: str) -> Any:
    """An Arrow writer. Each is imported where it is used, as a query needs neither."""
    if format == "csv":
        from pyarrow.csv import CSVWriter

        return CSVWriter(file, schema)
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(file, schema, compression="zstd")
