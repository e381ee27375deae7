"""Adds the catalogue, runs, predictions, raw scores and knowledge neurons."""

from alembic import op
from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Column,
    DateTime,
    Double,
    Integer,
    SmallInteger,
    Text,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_catalogue()
    _create_runs()
    _create_scores()


def _create_catalogue() -> None:
    op.create_table(
        "model",
        Column(
            "model_id",
            BigInteger,
            nullable=False,
            comment="Hash of weights_sha256 and architecture.",
        ),
        Column(
            "name", Text, nullable=False, comment="Hub id or folder name the model was loaded by."
        ),
        Column("revision", Text, nullable=True, comment="Hub revision; empty for a local folder."),
        Column(
            "architecture",
            Text,
            nullable=False,
            comment="Class of the model, for example BertForMaskedLM.",
        ),
        Column("family", Text, nullable=False, comment="masked_lm or causal_lm."),
        Column("n_layers", Integer, nullable=False, comment="Number of feed-forward blocks."),
        Column("n_neurons", Integer, nullable=False, comment="Neurons in each feed-forward block."),
        Column("weights_sha256", Text, nullable=False, comment="SHA-256 of the weights."),
        comment="A language model, known by its weights.",
    )
    op.create_table(
        "dataset",
        Column("dataset_id", BigInteger, nullable=False, comment="Hash of sha256."),
        Column(
            "name", Text, nullable=False, comment="Folder or file name the data set was read from."
        ),
        Column(
            "format",
            Text,
            nullable=False,
            comment="The form it was recognised as, for example mpararel.",
        ),
        Column(
            "sha256",
            Text,
            nullable=False,
            comment="SHA-256 of its files, whatever was selected from them.",
        ),
        comment="A data set, known by its contents.",
    )
    op.create_table(
        "relation",
        Column("relation_id", Text, nullable=False, comment="Identifier, for example P36."),
        Column("label", Text, nullable=False, comment="What people call it, for example capital."),
        comment="A relation between a subject and an object.",
    )
    op.create_table(
        "fact",
        Column(
            "fact_id",
            BigInteger,
            nullable=False,
            comment="Hash of data set, relation, subject and object.",
        ),
        Column("dataset_id", BigInteger, nullable=False, comment="The data set it comes from."),
        Column("relation_id", Text, nullable=False, comment="Its relation."),
        Column(
            "subject_id",
            Text,
            nullable=False,
            comment="Identifier of the subject, for example Q142.",
        ),
        Column(
            "object_id", Text, nullable=False, comment="Identifier of the object, for example Q90."
        ),
        Column(
            "fact_key", Text, nullable=False, comment="Relation and subject, for example P36:Q142."
        ),
        comment="A language-independent fact.",
    )
    op.create_table(
        "prompt",
        Column(
            "prompt_id",
            BigInteger,
            nullable=False,
            comment="Hash of fact, language, template, subject and answer.",
        ),
        Column("fact_id", BigInteger, nullable=False, comment="The fact it says."),
        Column("lang", Text, nullable=False, comment="Language code, for example en."),
        Column(
            "template",
            Text,
            nullable=False,
            comment="Sentence with [X] for the subject and [Y] for the object.",
        ),
        Column(
            "text",
            Text,
            nullable=False,
            comment="Template with the subject filled in and [MASK] for the answer.",
        ),
        Column("answer", Text, nullable=False, comment="Label of the object in this language."),
        Column("subject", Text, nullable=False, comment="Label of the subject in this language."),
        comment="A fact said in one language by one template, with the object left out.",
    )


def _create_runs() -> None:
    op.create_table(
        "run",
        Column(
            "run_id", BigInteger, nullable=False, comment="Hash of model, data set and settings."
        ),
        Column("model_id", BigInteger, nullable=False, comment="The model that was run."),
        Column("dataset_id", BigInteger, nullable=False, comment="The data set that was run over."),
        Column("preset", Text, nullable=False, comment="Attribution preset, for example amig."),
        Column(
            "settings",
            Text,
            nullable=False,
            comment="All settings of attribution and selection, as JSON.",
        ),
        Column("status", Text, nullable=False, comment="running, interrupted or finished."),
        Column(
            "tau",
            Double,
            nullable=True,
            comment="Threshold its knowledge neurons were refined with.",
        ),
        Column(
            "share",
            Double,
            nullable=True,
            comment="Share of prompts its knowledge neurons were refined with.",
        ),
        Column("started_at", DateTime, nullable=False, comment="When it first started, UTC."),
        Column("finished_at", DateTime, nullable=True, comment="When it finished, UTC."),
        Column("kndb_version", Text, nullable=False, comment="Version of kndb that started it."),
        comment="One model over one data set with one set of settings.",
    )
    op.create_table(
        "prediction",
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column("prompt_id", BigInteger, nullable=False, comment="The prompt."),
        Column("status", Text, nullable=False, comment="done or skipped."),
        Column(
            "reason", Text, nullable=True, comment="Why the prompt was skipped; empty when done."
        ),
        Column(
            "p_answer",
            Double,
            nullable=True,
            comment="Probability of the answer; several tokens: their mean.",
        ),
        Column(
            "p_tokens",
            ARRAY(Double),
            nullable=True,
            comment="Probability of each token of the answer.",
        ),
        Column(
            "rank",
            Integer,
            nullable=True,
            comment="Rank of the answer, 1 is the first choice; several tokens: the worst.",
        ),
        Column("predicted", Text, nullable=True, comment="The model's first choice."),
        Column(
            "n_answer_tokens", Integer, nullable=True, comment="Number of tokens of the answer."
        ),
        Column(
            "completeness",
            Double,
            nullable=True,
            comment="Worst relative completeness residual of its paths.",
        ),
        comment="What became of one prompt in one run.",
    )


def _create_scores() -> None:
    op.create_table(
        "attribution",
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column("prompt_id", BigInteger, nullable=False, comment="The prompt."),
        Column("layer", SmallInteger, nullable=False, comment="Layer of the neuron, from 0."),
        Column(
            "neuron",
            Integer,
            nullable=False,
            comment="Index of the neuron within its layer, from 0.",
        ),
        Column(
            "score",
            REAL,
            nullable=False,
            comment="Attribution of the answer's probability to the neuron.",
        ),
        comment="Raw scores: of each prompt all above 5 % of its highest, and at least 20.",
    )
    op.create_table(
        "knowledge_neuron",
        Column("run_id", BigInteger, nullable=False, comment="The run."),
        Column("fact_id", BigInteger, nullable=False, comment="The fact."),
        Column("lang", Text, nullable=False, comment="Language of the prompts."),
        Column("layer", SmallInteger, nullable=False, comment="Layer of the neuron, from 0."),
        Column(
            "neuron",
            Integer,
            nullable=False,
            comment="Index of the neuron within its layer, from 0.",
        ),
        Column(
            "score",
            Double,
            nullable=False,
            comment="Mean score over the prompts that select the neuron.",
        ),
        Column(
            "support",
            Double,
            nullable=False,
            comment="Share of the done prompts that select the neuron.",
        ),
        comment="Refined: the neurons a fact uses in a language, at the run's tau and share.",
    )
