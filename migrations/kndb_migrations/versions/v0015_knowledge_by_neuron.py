"""The knowledge neurons once more, in the order of the neurons."""

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, SmallInteger, Text

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "knowledge_by_neuron",
        Column("run_id", BigInteger, nullable=False),
        Column("fact_id", BigInteger, nullable=False),
        Column("lang", Text, nullable=False),
        Column("layer", SmallInteger, nullable=False),
        Column("neuron", Integer, nullable=False),
        Column("score", Double),
        Column("support", Double),
    )
    op.execute(
        "INSERT INTO knowledge_by_neuron BY NAME FROM knowledge_neuron "
        "ORDER BY run_id, layer, neuron, fact_id, lang"
    )
