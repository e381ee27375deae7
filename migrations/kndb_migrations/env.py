"""Runs migrations on the connection that ``kndb_migrations.upgrade`` hands over.

It opens nothing itself: the caller owns the connection and the one transaction around all steps.
The DuckDB dialect brings Alembic's implementation class, with transactional DDL.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
