"""Migrations of the kndb database: an Alembic environment, shipped in the wheel.

This module only lists the revisions, so that opening a database can compare versions without
importing Alembic (0.3 s). ``upgrade`` is in ``kndb_migrations.upgrade``.

To add a migration:

1. change ``kndb/store/schema.py``;
2. write ``versions/v0016_what_it_does.py`` with ``revision = "0016"``, ``down_revision = "0015"``
   and an ``upgrade()`` that uses Alembic operations or ``op.execute``;
3. append ``"0016"`` to ``REVISIONS``.

``tests/store/test_migrations.py`` fails until the three agree. Comments are taken from
``kndb/store/schema.py`` at every upgrade; a changed one needs no migration.
"""

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
)
"""All revisions known to this version of kndb, oldest first."""

HEAD = REVISIONS[-1]
"""The revision that this version of kndb reads and writes."""
