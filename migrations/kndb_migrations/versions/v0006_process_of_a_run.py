"""The process that works on a run, so that a killed one can be told from a running one."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE run ADD COLUMN process VARCHAR")
    op.execute(
        "COMMENT ON COLUMN run.process IS 'Machine, boot, container, number and start of the "
        "process that works on it; empty if none does.'"
    )
