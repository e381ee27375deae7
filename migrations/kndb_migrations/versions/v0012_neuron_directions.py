"""The tokens that neurons push up and down most."""

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, SmallInteger, Text

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "neuron_direction",
        Column("model_id", BigInteger, nullable=False, comment="The model."),
        Column("layer", SmallInteger, nullable=False, comment="Layer, from 0."),
        Column("neuron", Integer, nullable=False, comment="Neuron in the layer, from 0."),
        Column(
            "rank",
            SmallInteger,
            nullable=False,
            comment="1 is the token pushed up most, -1 the one pushed down most.",
        ),
        Column("token", Text, nullable=False, comment="The token."),
        Column(
            "logit",
            Double,
            nullable=False,
            comment="What one unit of activation adds to the token's logit, by the output "
            "embedding alone.",
        ),
        comment="The tokens that a neuron's output direction pushes up and down most, if a run "
        "was asked to store them.",
    )
