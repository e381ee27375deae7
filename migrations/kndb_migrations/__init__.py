"""Migrations of the kndb database: an Alembic environment, shipped in the wheel.

This root holds the list of revisions only, so that opening a database can compare versions
without importing Alembic (0.3 s). ``upgrade`` lives in ``kndb_migrations.upgrade``.

To add a migration:

1. change ``kndb/store/schema.py``;
2. write ``versions/v0005_what_it_does.py`` with ``revision = "0005"``, ``down_revision = "0004"``
   and an ``upgrade()`` made of Alembic operations or ``op.execute``;
3. append ``"0005"`` to ``REVISIONS``.

``tests/store/test_migrations.py`` fails until the three agree.
"""

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision this kndb knows, oldest first."""

HEAD = REVISIONS[-1]
"""The revision that this kndb reads and writes."""
