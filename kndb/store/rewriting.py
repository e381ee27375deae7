"""Rewrites a database file: without its free space, and sorted. Changes no row of the data.

The new file takes the old one's place while a reader's lock still keeps writers from the old one;
until then the old one is as it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from kndb.errors import DatabaseError, KndbError
from kndb.files import stamps
from kndb.progress import Report, silent
from kndb.store.database import connect, database_error, unwritten

SORTED = {
    "prompt": "fact_id, lang, template",
    "prediction": "run_id, prompt_id",
    "attribution": "run_id, prompt_id, layer, neuron",
    "word_attribution": "run_id, prompt_id, position",
    "knowledge_neuron": "run_id, fact_id, lang, layer, neuron",
    "knowledge_by_neuron": "run_id, layer, neuron, fact_id, lang",
    "degenerate_set": "run_id, search_id, fact_id, lang, set_id",
    "degenerate_member": "search_id, set_id, layer, neuron",
    "degenerate_subset": "search_id, set_id, members",
}
"""Tables that grow with the data, by what they are looked up. A batch is written in this order;
after many of them the ids, which are hashes, are spread over the whole file."""

COPIES = {"knowledge_by_neuron": "knowledge_neuron"}
"""Tables with the rows of another, which sorting makes anew from it."""

MEMORY = "4GB"
"""For sorting; what does not fit is put on the disk meanwhile."""


def compact(path: str | Path) -> bool:
    """Rewrite the file without its free space, if nothing else needs it meanwhile.

    DuckDB uses free space again, but only gives back what is at the end of a file.

    Returns:
        Whether it was done: the file may be in use, and the disk may lack room for a copy.
    """
    try:
        _rewrite(Path(path), {}, silent)
    except (duckdb.Error, KndbError, OSError):
        return False
    return True


def optimize(path: str | Path, *, wait: float = 10.0, report: Report = silent) -> tuple[int, int]:
    """Rewrite the file with its big tables sorted, so that a query reads only the blocks it needs.

    ``knowledge_by_neuron`` is made anew from ``knowledge_neuron``, whatever it has.

    Needs room on the disk for a second copy, and for sorting what does not fit into memory.

    Args:
        path: the database file.
        wait: seconds to keep trying while another process holds it.
        report: told of rows, table by table.

    Returns:
        The file's bytes before and after.

    Raises:
        DatabaseError: it cannot be opened for writing, or another process writes into it meanwhile.
        KndbError: the new file cannot be written.
    """
    path = Path(path)
    connect(path, write=True, wait=wait).close()  # with what a killed writer left in its log
    before = path.stat().st_size
    try:
        _rewrite(path, SORTED, report)
    except (duckdb.Error, KndbError) as error:
        raise _failed(path, error, unwritten(error.__cause__ or error)) from error
    except OSError as error:
        raise _failed(path, error, error.strerror or str(error)) from error
    return before, path.stat().st_size


def _failed(path: Path, error: Exception, reason: str | None) -> KndbError:
    """The error for the user; ``reason``: why the new file could not be written, if that is it."""
    if reason is None:
        return error if isinstance(error, KndbError) else database_error(path, error)
    size = path.stat().st_size / 2**20
    return KndbError(
        f"{path} cannot be rewritten: no copy of it ({size:,.1f} MiB) can be written into its "
        f"folder: {reason}; it is as it was, so make room, or see that the folder can be written, "
        "and run the same command again."
    )


def _rewrite(path: Path, orders: Mapping[str, str], report: Report) -> None:
    """Copy every table into a new file, those with an order sorted, and put it in place."""
    place = Path(os.path.realpath(path))
    written = DatabaseError(f"{path} is being written; run the same command again later.")
    with (
        tempfile.TemporaryDirectory(prefix=".kndb-", dir=place.parent) as folder,
        duckdb.connect() as connection,
    ):
        fresh = Path(folder, "fresh.duckdb")
        connect(fresh, write=True, create=True).close()  # with tables, views and comments
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute(f"SET temp_directory = {_quoted(Path(folder, 'sorting'))}")
        old = stamps([place])
        connection.execute(f"ATTACH {_quoted(place)} AS old (READ_ONLY)")
        if place.with_name(place.name + ".wal").exists():  # it belongs to the old file
            raise written
        connection.execute(f"ATTACH {_quoted(fresh)} AS fresh")
        tables = connection.execute(_TABLES).fetchall()
        done, total = 0, sum(rows for _, rows in tables)
        for table, rows in tables:
            rows_of = f"FROM old.{table}"
            if table in orders:
                rows_of = f"FROM old.{COPIES.get(table, table)} ORDER BY {orders[table]}"
            connection.execute(f"INSERT INTO fresh.{table} BY NAME {rows_of}")
            report(done := done + rows, total)
        connection.execute("CHECKPOINT fresh")
        connection.execute("DETACH fresh")
        shutil.copymode(place, fresh)
        if stamps([place]) != old:  # another file took its place, which the lock is not for
            raise written
        fresh.replace(place)


_TABLES = """
    SELECT table_name, estimated_size FROM duckdb_tables()
    WHERE database_name = 'old' AND table_name <> 'alembic_version' ORDER BY table_oid
"""


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
