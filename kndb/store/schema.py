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
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData()

_PLAIN = "The {} without case, accents and punctuation, in which names are looked up."


def _column(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, kind, nullable=False, comment=comment)


def _optional(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, kind, nullable=True, comment=comment)


model = Table(
    "model",
    metadata,
    _column("model_id", BigInteger, "Hash of weights_sha256 and architecture."),
    _column("name", Text, "Hub id or folder name the model was loaded by."),
    _optional("revision", Text, "Commit of the hub; empty for a local folder."),
    _column("architecture", Text, "Model type of its configuration, for example bert, or unknown."),
    _column("family", Text, "masked_lm or causal_lm; unknown of some imported ones."),
    _column("n_layers", Integer, "Number of feed-forward blocks."),
    _column("n_neurons", Integer, "Neurons in each feed-forward block."),
    _column("weights_sha256", Text, "SHA-256 of the weights; 'unknown: NAME' if imported."),
    comment="A language model, known by its weights.",
)

dataset = Table(
    "dataset",
    metadata,
    _column("dataset_id", BigInteger, "Hash of sha256."),
    _column("name", Text, "Folder or file name the data set was read from."),
    _column("format", Text, "The format it was recognised as, for example mpararel."),
    _column("sha256", Text, "SHA-256 of its files, independent of what was selected from them."),
    comment="A data set, known by its contents.",
)

relation = Table(
    "relation",
    metadata,
    _column("relation_id", Text, "Identifier, for example P36."),
    _column("label", Text, "Its name, for example capital."),
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
    _column("fact_id", BigInteger, "The fact it expresses."),
    _column("lang", Text, "Language code, for example en."),
    _column("template", Text, "Sentence with [X] for the subject and [Y] for the object."),
    _column("text", Text, "Template with the subject filled in and [MASK] for the answer."),
    _column("answer", Text, "Label of the object in this language."),
    _column("subject", Text, "Label of the subject in this language."),
    _column("plain_subject", Text, _PLAIN.format("subject")),
    _column("plain_answer", Text, _PLAIN.format("answer")),
    comment="A fact expressed in one language by one template, without the object.",
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
    _optional(
        "tau", Double, "Threshold its knowledge neurons were refined with; empty if imported."
    ),
    _optional("share", Double, "Share of prompts they were refined with; empty if imported."),
    _column("started_at", DateTime, "When it first started, UTC."),
    _optional("finished_at", DateTime, "When it finished, UTC."),
    _column("kndb_version", Text, "Version of kndb that started it."),
    _optional(
        "process",
        Text,
        "Machine, boot, container, number and start of the process that works on it; empty if none "
        "does.",
    ),
    _optional("name", Text, "Name that a user gave it; empty if it has none."),
    _optional(
        "shards", Text, "Shards of the data that it covers, for example 1,3/4; empty if all."
    ),
    comment="One model over one data set with one set of settings.",
)

prediction = Table(
    "prediction",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("prompt_id", BigInteger, "The prompt."),
    _column(
        "status",
        Text,
        "done, skipped, unknown (the model ranks the answer too low) or failed (its numbers were "
        "not finite).",
    ),
    _optional("reason", Text, "Why the prompt was skipped, or what failed; empty when done."),
    _optional("p_answer", Double, "Probability of the answer; several tokens: their mean."),
    _optional("p_tokens", ARRAY(Double), "Probability of each token of the answer."),
    _optional(
        "rank", Integer, "Rank of the answer, 1 is the first choice; several tokens: the worst."
    ),
    _optional("predicted", Text, "The model's first choice."),
    _optional("n_answer_tokens", Integer, "Number of tokens of the answer."),
    _optional("completeness", Double, "Worst relative completeness residual of its paths."),
    _optional(
        "score_error",
        Double,
        "Estimated relative L2 error of its scores; empty for a fixed rule.",
    ),
    comment="The result for one prompt in one run.",
)

attribution = Table(
    "attribution",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("prompt_id", BigInteger, "The prompt."),
    _column("layer", SmallInteger, "Layer of the neuron, from 0."),
    _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
    _column("score", REAL, "Attribution of the answer's probability to the neuron."),
    comment="Raw scores: for each prompt, all above 5 % of its highest, and at least 20.",
)

word_attribution = Table(
    "word_attribution",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("prompt_id", BigInteger, "The prompt."),
    _column("position", SmallInteger, "Place of the word in the prompt, from 0."),
    _column("word", Text, "The word."),
    _column(
        "contribution",
        Double,
        "Sum of the scores of its path over all neurons: what undoing its masking brings back.",
    ),
    _column("by_layer", ARRAY(Double), "The same, layer by layer."),
    comment="What each word of a prompt contributes, if the run was asked to store it.",
)

score_part = Table(
    "score_part",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("part_id", BigInteger, "The part: a hash of its prompts' ids, and in its file's name."),
    _column("n_prompts", Integer, "Number of its prompts."),
    _column("n_bytes", BigInteger, "Size of its file."),
    comment="Files in the folder beside the database, with the score of every neuron for some "
    "prompts, if a run was asked to keep them; the view score reads them.",
)

neuron_direction = Table(
    "neuron_direction",
    metadata,
    _column("model_id", BigInteger, "The model."),
    _column("layer", SmallInteger, "Layer, from 0."),
    _column("neuron", Integer, "Neuron in the layer, from 0."),
    _column("rank", SmallInteger, "1 is the token pushed up most, -1 the one pushed down most."),
    _column("token", Text, "The token."),
    _column(
        "logit",
        Double,
        "What one unit of activation adds to the token's logit, by the output embedding alone.",
    ),
    comment="The tokens that a neuron's output direction pushes up and down most, if a run was "
    "asked to store them.",
)


def _refined(name: str, comment: str) -> Table:
    return Table(
        name,
        metadata,
        _column("run_id", BigInteger, "The run."),
        _column("fact_id", BigInteger, "The fact."),
        _column("lang", Text, "Language of the prompts."),
        _column("layer", SmallInteger, "Layer of the neuron, from 0."),
        _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
        _optional(
            "score",
            Double,
            "Mean score over the prompts that select the neuron; empty if imported.",
        ),
        _optional(
            "support",
            Double,
            "Share of the done prompts that select the neuron; empty if imported.",
        ),
        comment=comment,
    )


knowledge_neuron = _refined(
    "knowledge_neuron",
    "Refined: the neurons a fact uses in a language, at the run's tau and share.",
)

knowledge_by_neuron = _refined(
    "knowledge_by_neuron",
    "The rows of knowledge_neuron once more, in the order of the neurons: questions about a neuron "
    "read few of them.",
)

neuron_overlap = Table(
    "neuron_overlap",
    metadata,
    _column(
        "overlap_id", BigInteger, "Hash of run and settings; the same request replaces its rows."
    ),
    _column("run_id", BigInteger, "The run."),
    _column("level", Text, "What the row describes: fact, relation or language-pair."),
    _optional("relation_id", Text, "The relation; empty for all relations together."),
    _optional("fact_id", BigInteger, "The fact; empty if the row covers several."),
    _column("langs", Text, "Languages compared, sorted: en,zh."),
    _column("n_langs", Integer, "Number of languages compared."),
    _column("n_facts", BigInteger, "Facts counted: those with at least two languages."),
    _column("sizes", ARRAY(BigInteger), "Knowledge neurons in each language, in their order."),
    _column("n_shared", BigInteger, "Knowledge neurons in all of the languages, fact by fact."),
    _column("n_union", BigInteger, "Knowledge neurons in any of the languages, fact by fact."),
    _optional("jaccard", Double, "n_shared / n_union."),
    _optional("expected", Double, "n_shared expected of random sets of these sizes."),
    _optional("p_value", Double, "Chance of at least n_shared; of several facts, a bound."),
    _optional("q_value", Double, "p_value corrected for the rows beside it, Benjamini-Hochberg."),
    _optional("n_significant", BigInteger, "Facts whose own q_value is at most 0.05."),
    _optional("shared_by_facts", Double, "Neurons that two facts of the relation share, mean."),
    _optional("shared_by_facts_expected", Double, "The same, expected of random sets."),
    _optional("note", Text, "Why nothing could be compared, or what is missing."),
    _column("settings", Text, "The request, as JSON."),
    comment="Knowledge neurons shared by several languages, against chance.",
)

degenerate_search = Table(
    "degenerate_search",
    metadata,
    _column("search_id", BigInteger, "Hash of run and settings."),
    _column("run_id", BigInteger, "The run whose knowledge neurons were searched."),
    _column("settings", Text, "All settings of the search, as JSON."),
    _column("status", Text, "running, interrupted or finished."),
    _column("started_at", DateTime, "When it first started, UTC."),
    _optional("finished_at", DateTime, "When it finished, UTC."),
    _column("kndb_version", Text, "Version of kndb that started it."),
    _optional(
        "process",
        Text,
        "Machine, boot, container, number and start of the process that works on it; empty if none "
        "does.",
    ),
    comment="One search for degenerate sets with one set of settings.",
)

degenerate_fact = Table(
    "degenerate_fact",
    metadata,
    _column("search_id", BigInteger, "The search."),
    _column("fact_id", BigInteger, "The fact."),
    _column("lang", Text, "Language of the prompts."),
    _column("n_neurons", Integer, "Knowledge neurons that were searched."),
    _column("n_tried", Integer, "Sets of at least two neurons that were suppressed."),
    _column("n_found", Integer, "Sets found degenerate."),
    _column("n_control", Integer, "Random sets of the same sizes and layers that were suppressed."),
    _column("n_control_found", Integer, "Random sets found degenerate."),
    _column("status", Text, "done or skipped."),
    _optional("reason", Text, "Why it was skipped, or what was not tried."),
    comment="What a search did for one fact in one language.",
)

degenerate_set = Table(
    "degenerate_set",
    metadata,
    _column("run_id", BigInteger, "The run."),
    _column("search_id", BigInteger, "The search."),
    _column("fact_id", BigInteger, "The fact."),
    _column("lang", Text, "Language of the prompts."),
    _column("set_id", BigInteger, "The set within its search."),
    _column("kind", Text, "degenerate: of knowledge neurons; control: of random neurons."),
    _column("size", Integer, "Number of neurons in the set."),
    _column(
        "drop_share",
        Double,
        "Drop of the answer's probability when the set is suppressed, as a "
        "share of it; absolute where the search's settings say so.",
    ),
    _column("max_subset_drop", Double, "Largest drop of a proper non-empty subset."),
    _column("is_degenerate", Boolean, "No subset drops above t_low, and the set above t_high."),
    _column("p_before", Double, "Probability of the answer, mean over the prompts."),
    _column("p_after", Double, "The same with the set suppressed."),
    comment="Sets of neurons that only together carry a fact.",
)

degenerate_member = Table(
    "degenerate_member",
    metadata,
    _column("search_id", BigInteger, "The search."),
    _column("set_id", BigInteger, "The set within its search."),
    _column("layer", SmallInteger, "Layer of the neuron, from 0."),
    _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
    comment="The neurons of the sets in degenerate_set.",
)

degenerate_subset = Table(
    "degenerate_subset",
    metadata,
    _column("search_id", BigInteger, "The search."),
    _column("set_id", BigInteger, "The set within its search."),
    _column("members", Text, "Neurons of a proper non-empty subset: 2:117,3:5."),
    _column("drop", Double, "Drop of the answer's probability when the subset is suppressed."),
    comment="The drop caused by each proper subset of a set in degenerate_set.",
)

factcheck_calibration = Table(
    "factcheck_calibration",
    metadata,
    _column("calibration_id", BigInteger, "Hash of run, search and settings."),
    _column("run_id", BigInteger, "The run whose neurons are used."),
    _column("search_id", BigInteger, "The search that found the degenerate neurons."),
    _column("settings", Text, "All settings, with the split and its seed, as JSON."),
    _column("created_at", DateTime, "When it was made, UTC."),
    _column("kndb_version", Text, "Version of kndb that made it."),
    comment="One calibration of the fact check.",
)

factcheck = Table(
    "factcheck",
    metadata,
    _column("calibration_id", BigInteger, "The calibration."),
    _column("relation_id", Text, "The relation."),
    _column("lang", Text, "Language of the claims."),
    _column(
        "method", Text, "How claims are scored: degenerate, knowledge, probability and others."
    ),
    _column("threshold", Double, "Claims that score at least this are judged true."),
    _column("threshold_low", Double, "Lower end of its band; scores within are too close to call."),
    _column("threshold_high", Double, "Upper end of its band."),
    _column(
        "n_neurons", Integer, "Neurons whose attributions make the score; 0 for other methods."
    ),
    _column("n_train", Integer, "Training facts of the relation."),
    _column("n_validation", Integer, "Validation facts that the threshold was chosen on."),
    _column("n_claims", Integer, "Claims about them, true and false."),
    _column("f1", Double, "F1 on the validation facts."),
    _column("accuracy", Double, "Accuracy on the validation facts."),
    comment="Thresholds of the fact check, per relation, language and method.",
)

factcheck_split = Table(
    "factcheck_split",
    metadata,
    _column("calibration_id", BigInteger, "The calibration."),
    _column("fact_key", Text, "Relation and subject; facts with the same key stay in one split."),
    _column("split", Text, "train, validation or test."),
    comment="Which facts a calibration used, and which are left to test it on.",
)

factcheck_neuron = Table(
    "factcheck_neuron",
    metadata,
    _column("calibration_id", BigInteger, "The calibration."),
    _column("relation_id", Text, "The relation."),
    _column("lang", Text, "Language of the prompts."),
    _column(
        "kind", Text, "degenerate, knowledge, or random: equally many others of the same layers."
    ),
    _column("layer", SmallInteger, "Layer of the neuron, from 0."),
    _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
    _column("n_facts", Integer, "Training facts that have it; 0 for random ones."),
    comment="Neurons whose attributions score the claims of a relation.",
)

factcheck_curve = Table(
    "factcheck_curve",
    metadata,
    _column("calibration_id", BigInteger, "The calibration."),
    _column("relation_id", Text, "The relation."),
    _column("lang", Text, "Language of the claims."),
    _column("method", Text, "How claims are scored."),
    _column("threshold", Double, "A possible threshold."),
    _column("true_above", Integer, "True validation claims that score at least this."),
    _column("false_above", Integer, "False validation claims that score at least this."),
    comment="The effect of each possible threshold on the validation facts.",
)

edit = Table(
    "edit",
    metadata,
    _column("edit_id", BigInteger, "Hash of run, fact and settings."),
    _column("run_id", BigInteger, "The run whose neurons were edited."),
    _column("fact_id", BigInteger, "The fact."),
    _column("mode", Text, "suppress, enhance, erase, update or fit."),
    _column("selection", Text, "Which neurons: sequential, specific, 2:117,3:5 and so on."),
    _column("lang", Text, "The language edited from; the target's, if it has one."),
    _column("langs", Text, "Languages whose neurons were taken, sorted: en,zh."),
    _optional("target", Text, "The new answer in that language; empty if there is none."),
    _optional("target_object_id", Text, "Identifier of the new object, if the data set has it."),
    _optional(
        "strength",
        Double,
        "Lambda of an update; if settings has no units, in embedding differences.",
    ),
    _column("settings", Text, "All settings, as JSON."),
    _column("status", Text, "active: in the ledger; undone; or skipped: nothing was edited."),
    _optional("reason", Text, "Why it was skipped, or what is missing."),
    _column("n_neurons", Integer, "Neurons edited."),
    _optional(
        "reliability",
        Double,
        "Share of the prompts used to find the neurons on which the edit worked.",
    ),
    _optional("generality", Double, "The same for held-out paraphrases."),
    _optional("transfer", Double, "The same for prompts in other languages."),
    _optional(
        "locality",
        Double,
        "Share of facts of other relations with the same first choice as before.",
    ),
    _optional("harmonic", Double, "Harmonic mean of the four, or of those that are known."),
    _optional(
        "control_reliability",
        Double,
        "Reliability with equally many random neurons of the same layers.",
    ),
    _optional("control_generality", Double, "Generality with these."),
    _optional("control_transfer", Double, "Transfer with these."),
    _optional("control_locality", Double, "Locality with these."),
    _optional("control_harmonic", Double, "Harmonic mean with these."),
    _optional(
        "perplexity_before",
        Double,
        "Perplexity of the right answers to facts of other relations.",
    ),
    _optional("perplexity_after", Double, "The same after the edit."),
    _column(
        "weights_sha256", Text, "Hash of the weights the change applies to; empty for unsaved ones."
    ),
    _optional(
        "delta",
        LargeBinary,
        "The changed rows before and after, as safetensors; empty at run time.",
    ),
    _column("created_at", DateTime, "When it was made, UTC."),
    _optional("undone_at", DateTime, "When it was undone, UTC."),
    _column("kndb_version", Text, "Version of kndb that made it."),
    comment="Edits: what was changed, how, and with what effect.",
)

edit_neuron = Table(
    "edit_neuron",
    metadata,
    _column("edit_id", BigInteger, "The edit."),
    _column("kind", Text, "edit, or control: random ones of the same layers."),
    _column("layer", SmallInteger, "Layer of the neuron, from 0."),
    _column("neuron", Integer, "Index of the neuron within its layer, from 0."),
    comment="The neurons of the edits in edit.",
)

edit_measure = Table(
    "edit_measure",
    metadata,
    _column("edit_id", BigInteger, "The edit."),
    _column("kind", Text, "edit, or control: the same done to random neurons."),
    _column("prompt_id", BigInteger, "The prompt."),
    _column(
        "part",
        Text,
        "own, paraphrase, language; other facts: same-relation, same-type, unrelated.",
    ),
    _optional("new_answer", Text, "The new answer; empty if there is none."),
    _column("p_old_before", Double, "Probability of the right answer of the data, before."),
    _column("p_old_after", Double, "The same, after."),
    _optional("p_new_before", Double, "Probability of the new answer, before."),
    _optional("p_new_after", Double, "The same, after."),
    _column("first_before", Text, "The first choice of the model, before."),
    _column("first_after", Text, "The same, after."),
    _column("changed", Boolean, "Whether the first choice has changed."),
    _optional("success", Boolean, "Whether the edit had the wanted effect here; empty if unknown."),
    comment="The effect of an edit on each prompt it was measured on.",
)
