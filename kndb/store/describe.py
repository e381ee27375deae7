"""Describes a database: its schema, its state and its sizes. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb

from kndb.store.database import connect_as_it_is, database_error, revision
from kndb.store.score_view import add_score_view
from kndb_migrations import HEAD

_SCHEMA = """
    WITH relation AS (
        SELECT table_name AS name, 'table' AS kind, comment, table_oid AS oid FROM duckdb_tables()
        WHERE table_name <> 'alembic_version'
        UNION ALL
        SELECT view_name, 'view', comment, view_oid FROM duckdb_views() WHERE NOT internal
    )
    SELECT name, kind, '' AS "column", '' AS type, comment, oid, 0 AS place FROM relation
    UNION ALL
    SELECT name, kind, column_name, data_type, described.comment, oid, column_index
    FROM relation JOIN duckdb_columns() AS described ON described.table_name = relation.name
    ORDER BY kind, oid, place
"""


class SchemaRow(NamedTuple):
    """One line of the schema's documentation; in a table's own line, column and type are empty."""

    name: str
    """Name of the table or view."""
    kind: str
    """``table`` or ``view``."""
    column: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The state of a database file."""

    path: Path
    revision: str | None
    """The revision of its schema; None if it is empty."""
    head: str
    """The revision that this kndb reads and writes."""
    size: int
    """Bytes on disk, the write-ahead log included."""
    rows: dict[str, int]
    """Number of rows of each table."""

    @property
    def is_current(self) -> bool:
        """Whether it needs no upgrade."""
        return self.revision == self.head


def describe_schema() -> list[SchemaRow]:
    """Every table and view, with its columns and their meaning. Needs no database file."""
    from kndb.store.migrate import migrate

    with duckdb.connect() as connection:
        migrate(connection)
        add_score_view(connection)
        return schema_of(connection)


def schema_of(connection: duckdb.DuckDBPyConnection) -> list[SchemaRow]:
    """Every table and view of an open database, with its columns and their meaning."""
    return [SchemaRow(*row[:5]) for row in connection.execute(_SCHEMA).fetchall()]


def database_status(path: str | Path, *, wait: float = 10.0) -> DatabaseStatus:
    """The state of the database at ``path``, without upgrading it.

    Raises:
        DatabaseError: it cannot be opened, or is not a kndb database.
    """
    path = Path(path)
    with connect_as_it_is(path, wait=wait) as connection:
        try:
            found = revision(connection, path)
            return DatabaseStatus(path, found, HEAD, _size(path), _row_counts(connection))
        except duckdb.Error as error:
            raise database_error(path, error) from error


def _size(path: Path) -> int:
    log = path.with_name(path.name + ".wal")
    return sum(file.stat().st_size for file in (path, log) if file.exists())


def _row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE table_name <> 'alembic_version' "
        "ORDER BY table_oid"
    ).fetchall()
    return {name: connection.table(name).count("*").fetchall()[0][0] for (name,) in names}
