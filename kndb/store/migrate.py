"""Creates and upgrades the schema of an open database. Opens no file; keeps one transaction.

SQLAlchemy and Alembic (0.5 s) are imported inside ``migrate``, so that opening a database that is
up to date does without them.
"""

from __future__ import annotations

import duckdb

from kndb.store.views import VIEWS, statements


def migrate(connection: duckdb.DuckDBPyConnection, revision: str = "head") -> None:
    """Bring the open database to ``revision``: all of it or, on an error, nothing.

    The views are dropped first and made anew at the end, so a migration may alter any table.
    """
    from duckdb_sqlalchemy import ConnectionWrapper
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    from kndb_migrations.upgrade import upgrade

    # A cursor is a second connection to the same open database, which the pool may close.
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
            for view in VIEWS:
                for statement in statements(view):
                    transaction.exec_driver_sql(statement)
    finally:
        engine.dispose()
