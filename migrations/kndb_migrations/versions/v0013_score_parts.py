"""The Parquet parts that hold the score of every neuron."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "score_part",
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column(
            "part_id",
            BigInteger,
            nullable=False,
            comment="The part: a hash of its prompts' ids, and in its file's name.",
        ),
        Column("n_prompts", Integer, nullable=False, comment="Number of its prompts."),
        Column("n_bytes", BigInteger, nullable=False, comment="Size of its file."),
        comment="Files in the folder beside the database, with the score of every neuron for some "
        "prompts, if a run was asked to keep them; the view score reads them.",
    )
