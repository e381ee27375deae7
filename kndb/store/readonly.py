"""Runs people's own SQL on a reader's sandboxed connection.

The engine refuses writes, other files, extensions and settings (``kndb.store.database``). One gap
is closed here: DuckDB lets COPY overwrite the very file that is open, so nothing but a single
query gets as far as the engine. DuckDB's parser says what is a query, not this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from kndb.errors import KndbError, UsageError
from kndb.store.database import first_line
from kndb.store.result import Result


def run_sql(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] | dict[str, Any] = ()
) -> Result:
    """The answer to one SELECT (or FROM, WITH, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN).

    Raises:
        UsageError: it is no single query, or DuckDB refuses it.
        KndbError: the answer does not fit in the memory a reader may use.
    """
    try:
        connection.execute(_only_query(connection, sql), params or None)
        return Result.read(connection)
    except duckdb.OutOfMemoryException as error:
        raise KndbError(
            f"The query needs more memory than a reader may use: {first_line(error)}"
        ) from error
    except duckdb.Error as error:
        raise UsageError(f"The SQL was refused: {first_line(error)}") from error


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
