"""Adds calibrations of the fact check: neurons, thresholds, curves and splits."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, SmallInteger, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _create_factcheck_calibration()
    _create_factcheck()
    _create_factcheck_split()
    _create_factcheck_neuron()
    _create_factcheck_curve()


def _create_factcheck_calibration() -> None:
    op.create_table(
        "factcheck_calibration",
        Column(
            "calibration_id",
            BigInteger,
            nullable=False,
            comment="Hash of run, search and settings.",
        ),
        Column("run_id", BigInteger, nullable=False, comment="The run whose neurons are used."),
        Column(
            "search_id",
            BigInteger,
            nullable=False,
            comment="The search that found the degenerate neurons.",
        ),
        Column(
            "settings",
            Text,
            nullable=False,
            comment="Split, seed and the rest of the request, as JSON.",
        ),
        Column("created_at", DateTime, nullable=False, comment="When it was made, UTC."),
        Column("kndb_version", Text, nullable=False, comment="Version of kndb that made it."),
        comment="One calibration of the fact check.",
    )


def _create_factcheck() -> None:
    op.create_table(
        "factcheck",
        Column("calibration_id", BigInteger, nullable=False, comment="The calibration."),
        Column("relation_id", Text, nullable=False, comment="The relation."),
        Column("lang", Text, nullable=False, comment="Language of the claims."),
        Column(
            "method",
            Text,
            nullable=False,
            comment="What scores claims: degenerate, knowledge, probability and others.",
        ),
        Column(
            "threshold",
            Double,
            nullable=False,
            comment="Claims that score at least this are held true.",
        ),
        Column(
            "threshold_low",
            Double,
            nullable=False,
            comment="Lower end of its band; scores within are too close to call.",
        ),
        Column("threshold_high", Double, nullable=False, comment="Upper end of its band."),
        Column(
            "n_neurons",
            Integer,
            nullable=False,
            comment="Neurons whose attributions make the score; 0 for others.",
        ),
        Column("n_train", Integer, nullable=False, comment="Training facts of the relation."),
        Column(
            "n_validation",
            Integer,
            nullable=False,
            comment="Validation facts that the threshold was chosen on.",
        ),
        Column("n_claims", Integer, nullable=False, comment="Claims about them, true and false."),
        Column("f1", Double, nullable=False, comment="F1 on the validation facts."),
        Column("accuracy", Double, nullable=False, comment="Accuracy on the validation facts."),
        comment="Thresholds of the fact check, per relation, language and method.",
    )


def _create_factcheck_split() -> None:
    op.create_table(
        "factcheck_split",
        Column("calibration_id", BigInteger, nullable=False, comment="The calibration."),
        Column(
            "fact_key",
            Text,
            nullable=False,
            comment="Relation and subject; facts of one key are not parted.",
        ),
        Column("split", Text, nullable=False, comment="train, validation or test."),
        comment="Which facts a calibration has seen, and which are left to test it on.",
    )


def _create_factcheck_neuron() -> None:
    op.create_table(
        "factcheck_neuron",
        Column("calibration_id", BigInteger, nullable=False, comment="The calibration."),
        Column("relation_id", Text, nullable=False, comment="The relation."),
        Column("lang", Text, nullable=False, comment="Language of the prompts."),
        Column(
            "kind",
            Text,
            nullable=False,
            comment="degenerate, knowledge, or random: as many others of the same layers.",
        ),
        Column("layer", SmallInteger, nullable=False, comment="Layer of the neuron, from 0."),
        Column(
            "neuron",
            Integer,
            nullable=False,
            comment="Index of the neuron within its layer, from 0.",
        ),
        Column(
            "n_facts",
            Integer,
            nullable=False,
            comment="Training facts that have it; 0 for random ones.",
        ),
        comment="Neurons whose attributions score the claims of a relation.",
    )


def _create_factcheck_curve() -> None:
    op.create_table(
        "factcheck_curve",
        Column("calibration_id", BigInteger, nullable=False, comment="The calibration."),
        Column("relation_id", Text, nullable=False, comment="The relation."),
        Column("lang", Text, nullable=False, comment="Language of the claims."),
        Column("method", Text, nullable=False, comment="What scores claims."),
        Column("threshold", Double, nullable=False, comment="A threshold that could be chosen."),
        Column(
            "true_above",
            Integer,
            nullable=False,
            comment="True validation claims that score at least this.",
        ),
        Column(
            "false_above",
            Integer,
            nullable=False,
            comment="False validation claims that score at least this.",
        ),
        comment="What each threshold would do on the validation facts.",
    )
