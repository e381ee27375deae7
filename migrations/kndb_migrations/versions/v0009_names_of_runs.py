"""Names that users give runs."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("ALTER TABLE run ADD COLUMN name VARCHAR")
    op.execute("COMMENT ON COLUMN run.name IS 'Name that a user gave it; empty if it has none.'")
