"""The plain forms of subjects and answers, in which names are looked up."""

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0014"
down_revision = "0013"

_PLAIN = (
    "trim(regexp_replace(lower(strip_accents({0})), '[\\p{{P}}\\p{{S}}\\s]+', ' ', 'g')) "
    "AS plain_{0}"
)
_TEXTS = ("lang", "template", "text", "answer", "subject", "plain_subject", "plain_answer")


def upgrade() -> None:
    # A new table: DuckDB does not let a column of many rows be filled and then made NOT NULL.
    op.rename_table("prompt", "old_prompt")
    op.create_table(
        "prompt",
        Column("prompt_id", BigInteger, nullable=False),
        Column("fact_id", BigInteger, nullable=False),
        *(Column(name, Text, nullable=False) for name in _TEXTS),
    )
    plain = ", ".join(map(_PLAIN.format, ("subject", "answer")))
    op.execute(f"INSERT INTO prompt BY NAME SELECT *, {plain} FROM old_prompt")
    op.drop_table("old_prompt")
