"""Runs migrations on the connection passed by ``kndb_migrations.upgrade``.

It opens nothing itself: the caller owns the connection and the single transaction around all steps.
Alembic's implementation class, with transactional DDL, comes from the DuckDB dialect.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
