"""Shards of the data that a run covers."""

from alembic import op

revision = "0010"
down_revision = "0009"

_COMMENT = "Shards of the data that it covers, for example 1,3/4; empty if all."


def upgrade() -> None:
    op.execute("ALTER TABLE run ADD COLUMN shards VARCHAR")
    op.execute(f"COMMENT ON COLUMN run.shards IS '{_COMMENT}'")
