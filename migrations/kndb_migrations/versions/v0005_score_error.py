"""The estimated error of a prompt's scores, beside its completeness."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE prediction ADD COLUMN score_error DOUBLE")
    op.execute(
        "COMMENT ON COLUMN prediction.score_error IS "
        "'Estimated relative error of its scores; empty for a fixed rule.'"
    )
