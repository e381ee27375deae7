"""The tables of a kndb database, and their documentation. ``kndb.store.views`` has the views.

This is the one description of the schema; ``kndb_migrations`` leads there, and a test compares the
two. Ids are 63-bit content hashes (``kndb.store.ids``), so databases made apart merge without
renumbering. No table has a key or an index: DuckDB refuses to alter tables with dependants, and
its indexes must fit in memory. Rows are written sorted instead. Nothing here opens a file.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData()


def _column(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, kind, nullable=False, comment=comment)


def _optional(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, kind, nullable=True, comment=comment)


model = Table(
    "model",
    metadata,
    _column("model_id", BigInteger, "Hash of weights_sha256 and architecture."),
    _column("name", Text, "Hub id or folder name the model was loaded by."),
    _optional("revision", Text, "Hub revision; empty for a local folder."),
    _column("architecture", Text, "Class of the model, for example BertForMaskedLM."),
    _column("family", Text, "masked_lm or causal_lm."),
    _column("n_layers", Integer, "Number of feed-forward blocks."),
    _column("n_neurons", Integer, "Neurons in each feed-forward block."),
    _column("weights_sha256", Text, "SHA-256 of the weights."),
    comment="A language model, known by its weights.",
)

dataset = Table(
    "dataset",
    metadata,
    _column("dataset_id", BigInteger, "Hash of sha256."),
    _column("name", Text, "Folder or file name the data set was read from."),
    _column("format", Text, "The form it was recognised as, for example mpararel."),
    _column("sha256", Text, "SHA-256 of its files, whatever was selected from them."),
    comment="A data set, known by its contents.",
)

relation = Table(
    "relation",
    metadata,
    _column("relation_id", Text, "Identifier, for example P36."),
    _column("label", Text, "What people call it, for example capital."),
    comment="A relation between a subject and an object.",
)

fact = Table(
    "fact",
    metadata,
    _column("fact_id", BigInteger, "Hash of data set, relation, subject and object."),
    _column("dataset_id", BigInteger, "The data set it comes from."),
    _column("relation_id", Text, "Its relation."),
    _column("subject_id", Text, "Identifier of the subject, for example Q142."),
    _column("object_id", Text, "Identifier of the object, for example Q90."),
    _column("fact_key", Text, "Relation and subject, for example P36:Q142."),
    comment="A language-independent fact.",
)

prompt = Table(
    "prompt",
    metadata,
    _column("prompt_id", BigInteger, "Hash of fact, language, template, subject and answer."),
    _column("fact_id", BigInteger, "The fact it says."),
    _column("lang", Text, "Language code, for example en."),
    _column("template", Text, "Sentence with [X] for the subject and [Y] for the object."),
    _column("text", Text, "Template with the subject filled in and [MASK] for the answer."),
    _column("answer", Text, "Label of the object in this language."),
    _column("subject", Text, "Label of the subject in this language."),
    comment="A fact said in one language by one template, with the object left out.",
)

run = Table(
    "run",
    metadata,
    _column("run_id", BigInteger, "Hash of model, data set and settings."),
    _column("model_id", BigInteger, "The model that was run."),
    _column("dataset_id", BigInteger, "The data set that was run over."),
    _column("preset", Text, "Attribution preset, for example amig."),
    _column("settings", Text, "All settings of attribution and selection, as JSON."),
    _column("status", Text, "running, interrupted or finished."),
    _optional("tau", Double, "Threshold its knowledge neurons were refined with."),
    _optional("share", Double, "Share of prompts its knowledge neurons were refined with."),
    _column("started_at", DateTime, "When it first started, UTC."),
    _optional("finished_at", DateTime, "When it finished, UTC."),
    _column("kndb_version", Text, "Version of kndb that started it."),
    comment="One model over one data set with one set of settings.",
)

prediction = Table(
    "prediction",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("prompt_id", BigInteger, "The prompt."),
    _column("status", Text, "done or skipped."),
    _optional("reason", Text, "Why the prompt was skipped; empty when done."),
    _optional("p_answer", Double, "Probability of the answer; several tokens: their mean."),
    _optional("p_tokens", ARRAY(Double), "Probability of each token of the answer."),
    _optional(
        "rank", Integer, "Rank of the answer, 1 is the first choice; several tokens: the worst."
    ),
    _optional("predicted", Text, "The model's first choice."),
    _optional("n_answer_tokens", Integer, "Number of tokens of the answer."),
    _optional("completeness", Double, "Worst relative completeness residual of its paths."),
    comment="What became of one prompt in one run.",
)

attribution = Table(
    "attribution",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("prompt_id", BigInteger, "The prompt."),
    _column("layer", SmallInteger, "Layer of the neuron, from 0."),
    _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
    _column("score", REAL, "Attribution of the answer's probability to the neuron."),
    comment="Raw scores: of each prompt all above 5 % of its highest, and at least 20.",
)

knowledge_neuron = Table(
    "knowledge_neuron",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("fact_id", BigInteger, "The fact."),
    _column("lang", Text, "Language of the prompts."),
    _column("layer", SmallInteger, "Layer of the neuron, from 0."),
    _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
    _column("score", Double, "Mean score over the prompts that select the neuron."),
    _column("support", Double, "Share of the done prompts that select the neuron."),
    comment="Refined: the neurons a fact uses in a language, at the run's tau and share.",
)
