"""Creates and upgrades the schema of an open database. Opens no file; keeps one transaction.

SQLAlchemy and Alembic (0.5 s) are imported inside ``migrate``, so that opening a current database
does not load them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from kndb.store.views import VIEWS, quoted, statements

if TYPE_CHECKING:
    from sqlalchemy import Connection


def migrate(connection: duckdb.DuckDBPyConnection, revision: str = "head") -> None:
    """Upgrade the open database to ``revision``, or leave it unchanged on an error.

    The views are dropped first and recreated at the end, so a migration may alter any table.
    Comments are updated too: they are documentation and need no revision.
    """
    from duckdb_sqlalchemy import ConnectionWrapper
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    from kndb_migrations.upgrade import upgrade

    # A cursor is a second connection to the same open database; the pool may close it.
    engine = create_engine(
        "duckdb://",
        creator=lambda: ConnectionWrapper(connection.cursor()),
        poolclass=StaticPool,
    )
    try:
        with engine.begin() as transaction:
            for view in reversed(VIEWS):
                transaction.exec_driver_sql(f"DROP VIEW IF EXISTS {view.name}")
            upgrade(transaction, revision)
            _mend_comments(transaction)
            for view in VIEWS:
                for statement in statements(view):
                    transaction.exec_driver_sql(statement)
    finally:
        engine.dispose()


_STORED_COMMENTS = """
    SELECT table_name, NULL AS column_name, comment FROM duckdb_tables()
    UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal
"""


def _mend_comments(transaction: Connection) -> None:
    """Update the comments of tables and columns that differ from ``kndb.store.schema``."""
    from kndb.store.schema import metadata

    tables = metadata.sorted_tables
    meant = {(table.name, None): table.comment for table in tables} | {
        (table.name, column.name): column.comment for table in tables for column in table.columns
    }
    for table, column, comment in transaction.exec_driver_sql(_STORED_COMMENTS).fetchall():
        text = meant.get((table, column))
        if text is None or text == comment:
            continue
        what = f'TABLE "{table}"' if column is None else f'COLUMN "{table}"."{column}"'
        transaction.exec_driver_sql(f"COMMENT ON {what} IS {quoted(text)}")
