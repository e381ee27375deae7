"""The process in which one query runs: started by :mod:`.process`, one for each query.

It opens the database, gives up every right it does not need, and only then runs the query. It
reads one JSON line from standard input and writes messages to standard output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

import duckdb

from kndb.errors import KndbError, with_hint
from kndb.progress import listen
from kndb.store.database import connect, unanswered
from kndb.store.result import UNREPRESENTABLE
from kndb.store.sandbox.judge import judge
from kndb.store.sandbox.messages import Writer

BATCH = 2048
"""Rows of a message: as many as DuckDB hands over at once."""

SLACK = 768 * 2**20
"""Bytes of address space above the query's memory: for stacks and what DuckDB does not count."""


def main() -> None:
    """Answer the one request on standard input, and end."""
    out = Writer(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # nothing but messages goes to the pipe
    request = json.loads(sys.stdin.buffer.readline())
    listen(out.note)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _answer(request, out)
    except KndbError as error:
        out.error(type(error).__name__, str(error), getattr(error, "nearest", ()))
    except MemoryError:
        out.error("KndbError", _too_large(request["memory"]), ())
    except OverflowError:
        out.error("UsageError", UNREPRESENTABLE, ())
    except Exception as error:
        out.error("UsageError", f"The SQL was refused: {with_hint(error)}", ())
    out.end()


def _end_with_parent() -> None:
    """End at once when the other end of standard input is closed."""
    os.read(0, 1)
    os._exit(1)


def _answer(request: dict[str, Any], out: Writer) -> None:
    judge(request["sql"])
    _open_many()
    with connect(request["path"], memory=request["memory"], hold=True) as connection:
        _warm_up(connection)
        confine(request["memory"])
        try:
            connection.execute(request["sql"])
            _send(connection, out, request["rows"])
        except duckdb.OutOfMemoryException as error:
            raise KndbError(_too_large(request["memory"])) from error
        except duckdb.Error as error:
            raise unanswered(error) from error


def _open_many() -> None:
    """Allow as many open files as the system does: the parts of scores are open beforehand."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems allow fewer than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _too_large(memory: int) -> str:
    return (
        f"The query needs more memory than the {memory // 2**20} MiB that a query may use; "
        "ask for less at once."
    )


def _warm_up(connection: duckdb.DuckDBPyConnection) -> None:
    """Import what conversions to Python import when they first meet a type."""
    connection.execute(
        "SELECT DATE '2000-01-01', TIMESTAMP '2000-01-01', TIMESTAMPTZ '2000-01-01', "
        "TIME '00:00', INTERVAL 1 DAY, uuid(), 1.5::DECIMAL(4, 1), 'a'::BLOB, [1], {'a': 1}, "
        "MAP {1: 2}, 'x'::ENUM('x'), 1::HUGEINT"
    ).fetchall()


def confine(memory: int) -> None:
    """Give up the right to open files, to grow them, and to take more memory than allowed.

    A limit of 0 descriptors leaves the open ones as they are and refuses every new one, on any
    POSIX system and without privileges.
    """
    if sys.platform == "win32":
        return
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_AS, _address_space() + memory + SLACK),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell, which sets no less."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 4 * 2**30


def _send(connection: duckdb.DuckDBPyConnection, out: Writer, most: int) -> None:
    """Send the answer in batches; one row more than ``most`` says that there are more."""
    description = connection.description or []
    out.header([str(name[0]) for name in description], [str(name[1]) for name in description])
    left = most + 1
    while left and (rows := connection.fetchmany(min(BATCH, left))):
        out.rows(rows)
        left -= len(rows)


if __name__ == "__main__":
    main()
