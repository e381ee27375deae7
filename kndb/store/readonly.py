"""Runs users' SQL on a reader's connection, in this process.

The engine refuses writes, other files, extensions and settings (``kndb.store.database``), and
nothing but a harmless query gets as far as the engine (``kndb.store.sandbox.judge``). It does not
protect from a query that never ends or takes more memory than DuckDB counts: for strangers' SQL
there is ``kndb.store.sandbox.run_apart``, a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from kndb.errors import DatabaseCorrupt, KndbError, UsageError, first_line
from kndb.store.database import INTERRUPTED, unanswered
from kndb.store.result import UNREPRESENTABLE, Result
from kndb.store.sandbox.judge import judge


def run_sql(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any] | dict[str, Any] = ()
) -> Result:
    """The answer to one SELECT (or FROM, WITH, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN).

    Raises:
        UsageError: it is not a single harmless query, or DuckDB refuses it.
        KndbError: the query needs more memory than a reader may use.
    """
    with reading(connection):
        try:
            judge(sql)
            connection.execute(sql, params or None)
            return Result.read(connection)
        except _UNREADABLE:
            raise
        except duckdb.Error as error:
            if str(error).startswith("KeyboardInterrupt"):  # while it read a part of scores
                raise KeyboardInterrupt from error
            raise unanswered(error) from error


@contextmanager
def reading(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Translate the errors any reader may meet; Ctrl-C becomes a ``KeyboardInterrupt``.

    Raises:
        KndbError: the query needs more memory than a reader may use, or another thread ended it.
        UsageError: the database is closed, or a value of the answer is too large for Python.
        DatabaseCorrupt: the file turns out to be damaged.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise KndbError(
            f"The query needs more memory than a reader may use: {first_line(error)}"
        ) from error
    except duckdb.InterruptException as error:
        raise KndbError("The query was ended before it was done; ask for less.") from error
    except duckdb.ConnectionException as error:
        raise UsageError("The database is closed; open it again.") from error
    except OverflowError as error:
        raise UsageError(UNREPRESENTABLE) from error
    except duckdb.IOException as error:
        raise DatabaseCorrupt(f"The database is damaged: {first_line(error)}") from error
    except RuntimeError as error:
        if str(error) != INTERRUPTED:
            raise
        connection.interrupt()  # or its threads would go on, and closing would wait for them
        raise KeyboardInterrupt from error


_UNREADABLE = (
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.ConnectionException,
    duckdb.IOException,
)
