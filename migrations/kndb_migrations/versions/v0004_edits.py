"""Adds the edit ledger: edits, their neurons, and their measured effects."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
)

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _create_edit()
    _create_edit_neuron()
    _create_edit_measure()


def _create_edit() -> None:
    op.create_table(
        "edit",
        Column("edit_id", BigInteger, nullable=False, comment="Hash of run, fact and settings."),
        Column("run_id", BigInteger, nullable=False, comment="The run whose neurons were edited."),
        Column("fact_id", BigInteger, nullable=False, comment="The fact."),
        Column("mode", Text, nullable=False, comment="suppress, enhance, erase or update."),
        Column(
            "selection",
            Text,
            nullable=False,
            comment="Which neurons: language-independent, sequential, 2:117,3:5 and so on.",
        ),
        Column(
            "lang",
            Text,
            nullable=False,
            comment="The language edited from: that of the target, if any.",
        ),
        Column(
            "langs",
            Text,
            nullable=False,
            comment="Languages whose neurons were taken, sorted: en,zh.",
        ),
        Column(
            "target",
            Text,
            nullable=True,
            comment="The new answer in that language; empty where there is none.",
        ),
        Column(
            "target_object_id",
            Text,
            nullable=True,
            comment="Identifier of the new object, where the data set has it.",
        ),
        Column("strength", Double, nullable=True, comment="Lambda of an update."),
        Column("settings", Text, nullable=False, comment="All settings, as JSON."),
        Column(
            "status",
            Text,
            nullable=False,
            comment="active, undone, or skipped: nothing was edited.",
        ),
        Column("reason", Text, nullable=True, comment="Why it was skipped, or what is missing."),
        Column("n_neurons", Integer, nullable=False, comment="Neurons edited."),
        Column(
            "reliability",
            Double,
            nullable=True,
            comment="Share of the prompts the neurons were found with that do as told.",
        ),
        Column(
            "generality", Double, nullable=True, comment="The same of the paraphrases kept back."
        ),
        Column(
            "transfer", Double, nullable=True, comment="The same of the prompts in other languages."
        ),
        Column(
            "locality",
            Double,
            nullable=True,
            comment="Share of unrelated prompts with the same first choice as before.",
        ),
        Column(
            "harmonic",
            Double,
            nullable=True,
            comment="Harmonic mean of those of the four that are known.",
        ),
        Column(
            "control_reliability",
            Double,
            nullable=True,
            comment="Reliability with as many random neurons of the same layers.",
        ),
        Column("control_generality", Double, nullable=True, comment="Generality with these."),
        Column("control_transfer", Double, nullable=True, comment="Transfer with these."),
        Column("control_locality", Double, nullable=True, comment="Locality with these."),
        Column("control_harmonic", Double, nullable=True, comment="Harmonic mean with these."),
        Column(
            "perplexity_before",
            Double,
            nullable=True,
            comment="Perplexity of the right answers to the unrelated prompts.",
        ),
        Column("perplexity_after", Double, nullable=True, comment="The same after the edit."),
        Column(
            "weights_sha256",
            Text,
            nullable=False,
            comment="Hash of the weights the change fits; empty: of unsaved ones.",
        ),
        Column(
            "delta",
            LargeBinary,
            nullable=True,
            comment="The changed rows before and after, as safetensors; empty at run time.",
        ),
        Column("created_at", DateTime, nullable=False, comment="When it was made, UTC."),
        Column("undone_at", DateTime, nullable=True, comment="When it was undone, UTC."),
        Column("kndb_version", Text, nullable=False, comment="Version of kndb that made it."),
        comment="What was edited, with what, and what came of it.",
    )


def _create_edit_neuron() -> None:
    op.create_table(
        "edit_neuron",
        Column("edit_id", BigInteger, nullable=False, comment="The edit."),
        Column(
            "kind",
            Text,
            nullable=False,
            comment="edit, or control: random ones of the same layers.",
        ),
        Column("layer", SmallInteger, nullable=False, comment="Layer of the neuron, from 0."),
        Column(
            "neuron",
            Integer,
            nullable=False,
            comment="Index of the neuron within its layer, from 0.",
        ),
        comment="The neurons of the edits in edit.",
    )


def _create_edit_measure() -> None:
    op.create_table(
        "edit_measure",
        Column("edit_id", BigInteger, nullable=False, comment="The edit."),
        Column(
            "kind",
            Text,
            nullable=False,
            comment="edit, or control: the same done to random neurons.",
        ),
        Column("prompt_id", BigInteger, nullable=False, comment="The prompt."),
        Column("part", Text, nullable=False, comment="own, paraphrase, language or unrelated."),
        Column(
            "new_answer",
            Text,
            nullable=True,
            comment="The answer it shall have; empty where there is none.",
        ),
        Column(
            "p_old_before",
            Double,
            nullable=False,
            comment="Probability of the right answer of the data, before.",
        ),
        Column("p_old_after", Double, nullable=False, comment="The same, after."),
        Column(
            "p_new_before", Double, nullable=True, comment="Probability of the new answer, before."
        ),
        Column("p_new_after", Double, nullable=True, comment="The same, after."),
        Column(
            "first_before", Text, nullable=False, comment="The first choice of the model, before."
        ),
        Column("first_after", Text, nullable=False, comment="The same, after."),
        Column("changed", Boolean, nullable=False, comment="The first choice is another."),
        Column(
            "success",
            Boolean,
            nullable=True,
            comment="The edit did here what it should; empty where that cannot be told.",
        ),
        comment="What an edit did to each prompt it was measured on.",
    )
