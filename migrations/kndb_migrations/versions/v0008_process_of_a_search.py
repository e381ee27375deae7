"""The process that works on a search, as for runs; and a view of the searches."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE degenerate_search ADD COLUMN process VARCHAR")
    op.execute(
        "COMMENT ON COLUMN degenerate_search.process IS 'Machine, boot, container, number and "
        "start of the process that works on it; empty if none does.'"
    )
