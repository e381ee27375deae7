"""Runs people's own SQL on a reader's sandboxed connection.

The engine refuses writes, other files, extensions and settings (``kndb.store.database``). One gap
is closed here: DuckDB lets COPY overwrite the very file that is open, so nothing but a single
query gets as far as the engine. DuckDB's parser says what is a query, not this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from kndb.errors import DatabaseCorrupt, KndbError, UsageError
from kndb.store.database import INTERRUPTED, first_line
from kndb.store.result import Result


def run_sql(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] | dict[str, Any] = ()
) -> Result:
    """The answer to one SELECT (or FROM, WITH, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN).

    Raises:
        UsageError: it is no single query, or DuckDB refuses it.
        KndbError: the answer does not fit in the memory a reader may use.
    """
    with reading(connection):
        try:
            connection.execute(_only_query(connection, sql), params or None)
            return Result.read(connection)
        except _UNREADABLE:
            raise
        except duckdb.Error as error:
            raise UsageError(f"The SQL was refused: {first_line(error)}") from error


@contextmanager
def reading(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Say in a sentence what may befall any reader; Ctrl-C is a ``KeyboardInterrupt``.

    Raises:
        KndbError: the answer does not fit in the memory a reader may use.
        UsageError: the database is closed.
        DatabaseCorrupt: the file turns out to be damaged.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise KndbError(
            f"The query needs more memory than a reader may use: {first_line(error)}"
        ) from error
    except duckdb.ConnectionException as error:
        raise UsageError("The database is closed; open it again.") from error
    except duckdb.IOException as error:
        raise DatabaseCorrupt(f"The database is damaged: {first_line(error)}") from error
    except RuntimeError as error:
        if str(error) != INTERRUPTED:
            raise
        connection.interrupt()  # its threads go on otherwise, and closing waits for them
        raise KeyboardInterrupt from error


_UNREADABLE = (duckdb.OutOfMemoryException, duckdb.ConnectionException, duckdb.IOException)


def _only_query(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"Give one SQL query at a time; {len(statements)} statements were given.")
    if not _is_query(statements[0]):
        kind = statements[0].type.name
        raise UsageError(f"Only queries can be run here, and this is {kind}; write a SELECT.")
    return statements[0]


def _is_query(statement: duckdb.Statement) -> bool:
    if statement.type == duckdb.StatementType.EXPLAIN:
        # EXPLAIN ANALYZE runs what it explains, COPY included.
        return "ANALYZE" not in statement.query.upper()
    return statement.type == duckdb.StatementType.SELECT
