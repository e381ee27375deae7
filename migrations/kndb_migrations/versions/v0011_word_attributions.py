"""What each word of a prompt contributes."""

from alembic import op
from sqlalchemy import ARRAY, BigInteger, Column, Double, SmallInteger, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "word_attribution",
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column("prompt_id", BigInteger, nullable=False, comment="The prompt."),
        Column(
            "position",
            SmallInteger,
            nullable=False,
            comment="Place of the word in the prompt, from 0.",
        ),
        Column("word", Text, nullable=False, comment="The word."),
        Column(
            "contribution",
            Double,
            nullable=False,
            comment="Sum of the scores of its path over all neurons: what undoing its masking "
            "brings back.",
        ),
        Column("by_layer", ARRAY(Double), nullable=False, comment="The same, layer by layer."),
        comment="What each word of a prompt contributes, if the run was asked to store it.",
    )
