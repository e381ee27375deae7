"""The views of a kndb database: its tables joined under readable names, for users who write SQL.

Each view and each of its columns is documented here, and the documentation is stored in the
database. Every migration recreates them, so a changed view needs a new revision, if an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class View(NamedTuple):
    """One view: its name, its comment, its columns in order with their meaning, and its SELECT.

    A temporary one is made whenever a database is opened.
    """

    name: str
    comment: str
    columns: Mapping[str, str]
    select: str
    temporary: bool = False


_FACT_COLUMNS = {
    "fact_key": "Relation and subject, for example P36:Q142.",
    "relation": "Label of the relation.",
    "lang": "Language code.",
}
_NEURON_COLUMNS = {
    "layer": "Layer of the neuron, from 0.",
    "neuron": "Index of the neuron within its layer, from 0.",
}
_SCORE = "Attribution of the answer's probability to the neuron."
_RUN_COLUMNS = {"model": "Name of the model.", "run_id": "The run."}

FACTS = View(
    "facts",
    "Facts in each of their languages.",
    {
        **_FACT_COLUMNS,
        "subject": "Label of the subject.",
        "answer": "Label of the object.",
        "prompts": "Number of prompts.",
        "dataset": "Name of the data set.",
        "fact_id": "The fact.",
    },
    """
    SELECT fact.fact_key, relation.label AS relation, prompt.lang,
           min(prompt.subject) AS subject, min(prompt.answer) AS answer,
           count(*) AS prompts, dataset.name AS dataset, fact.fact_id
    FROM prompt
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN dataset USING (dataset_id)
    GROUP BY fact.fact_key, relation.label, prompt.lang, dataset.name, fact.fact_id
    """,
)

RUNS = View(
    "runs",
    "Runs, with counts of their prompts.",
    {
        "run_id": "The run.",
        "model": "Name of the model.",
        "dataset": "Name of the data set.",
        "preset": "Attribution preset.",
        "status": "running, interrupted or finished.",
        "facts": "Facts with at least one prompt done.",
        "done": "Prompts done.",
        "skipped": "Prompts skipped.",
        "unknown": "Prompts not attributed, as the model does not know the answer.",
        "failed": "Prompts for which the model's numbers were not finite.",
        "accuracy": "Share of the done prompts with the answer as the model's first choice.",
        "completeness": "Worst relative completeness residual.",
        "score_error": "Largest estimated relative error of a prompt's scores.",
        "inexact": "Prompts whose residual or score error is above the run's tolerance.",
        "tau": "Threshold of its knowledge neurons.",
        "share": "Share of prompts of its knowledge neurons.",
        "started_at": "When it first started, UTC.",
        "finished_at": "When it finished, UTC.",
        "kndb_version": "Version of kndb that started it.",
        "name": "Name that a user gave it; empty if it has none.",
    },
    """
    WITH tolerated AS (
        SELECT run_id, TRY_CAST(json_extract_string(settings, 'tolerance') AS REAL) AS tolerance
        FROM run
    ),
    counted AS (
        SELECT run_id, count(*) FILTER (status = 'done') AS done,
               count(*) FILTER (status = 'skipped') AS skipped,
               count(*) FILTER (status = 'unknown') AS unknown,
               count(*) FILTER (status = 'failed') AS failed,
               avg(CAST(rank = 1 AS INTEGER)) FILTER (rank IS NOT NULL) AS accuracy,
               max(completeness) AS completeness, max(score_error) AS score_error,
               count(*) FILTER (greatest(completeness, score_error) > tolerance) AS inexact
        FROM prediction JOIN tolerated USING (run_id)
        GROUP BY run_id
    ),
    recalled AS (
        SELECT run_id, count(DISTINCT fact_id) AS facts
        FROM prediction JOIN prompt USING (prompt_id) WHERE status = 'done'
        GROUP BY run_id
    )
    SELECT run.run_id, model.name AS model, dataset.name AS dataset, run.preset, run.status,
           coalesce(facts, 0) AS facts, coalesce(done, 0) AS done, coalesce(skipped, 0) AS skipped,
           coalesce(unknown, 0) AS unknown, coalesce(failed, 0) AS failed, accuracy, completeness,
           score_error, coalesce(inexact, 0) AS inexact,
           run.tau, run.share, run.started_at, run.finished_at, run.kndb_version, run.name
    FROM run
    JOIN model USING (model_id)
    JOIN dataset USING (dataset_id)
    LEFT JOIN counted USING (run_id)
    LEFT JOIN recalled USING (run_id)
    """,
)

PREDICTIONS = View(
    "predictions",
    "The models' answers, prompt by prompt.",
    {
        **_FACT_COLUMNS,
        "text": "The prompt, with [MASK] for the answer.",
        "answer": "The right answer.",
        "predicted": "The model's first choice.",
        "rank": "Rank of the answer, 1 is the first choice.",
        "p_answer": "Probability of the answer.",
        "n_answer_tokens": "Number of tokens of the answer.",
        "completeness": "Worst relative completeness residual.",
        "score_error": "Estimated relative error of the scores.",
        "status": "done, skipped, unknown to the model, or failed.",
        "reason": "Why the prompt was skipped or not attributed, or what failed.",
        **_RUN_COLUMNS,
    },
    """
    SELECT fact.fact_key, relation.label AS relation, prompt.lang, prompt.text, prompt.answer,
           prediction.predicted, prediction.rank, prediction.p_answer,
           prediction.n_answer_tokens, prediction.completeness, prediction.score_error,
           prediction.status, prediction.reason, model.name AS model, prediction.run_id
    FROM prediction
    JOIN prompt USING (prompt_id)
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN run ON run.run_id = prediction.run_id
    JOIN model USING (model_id)
    """,
)

ATTRIBUTIONS = View(
    "attributions",
    "Raw scores, prompt by prompt.",
    {
        **_FACT_COLUMNS,
        "text": "The prompt, with [MASK] for the answer.",
        "answer": "The right answer.",
        **_NEURON_COLUMNS,
        "score": _SCORE,
        **_RUN_COLUMNS,
    },
    """
    SELECT fact.fact_key, relation.label AS relation, prompt.lang, prompt.text, prompt.answer,
           attribution.layer, attribution.neuron, attribution.score,
           model.name AS model, attribution.run_id
    FROM attribution
    JOIN prompt USING (prompt_id)
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN run ON run.run_id = attribution.run_id
    JOIN model USING (model_id)
    """,
)

WORD_CONTRIBUTIONS = View(
    "word_contributions",
    "What each word of a prompt contributes, of runs that store it.",
    {
        **_FACT_COLUMNS,
        "text": "The prompt, with [MASK] for the answer.",
        "answer": "The right answer.",
        "p_answer": "Probability of the answer.",
        "position": "Place of the word in the prompt, from 0.",
        "word": "The word.",
        "contribution": "Sum of the scores of its path over all neurons.",
        "by_layer": "The same, layer by layer.",
        **_RUN_COLUMNS,
    },
    """
    SELECT fact.fact_key, relation.label AS relation, prompt.lang, prompt.text, prompt.answer,
           prediction.p_answer, own.position, own.word, own.contribution, own.by_layer,
           model.name AS model, own.run_id
    FROM word_attribution AS own
    JOIN prediction ON prediction.run_id = own.run_id AND prediction.prompt_id = own.prompt_id
    JOIN prompt ON prompt.prompt_id = own.prompt_id
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN run ON run.run_id = own.run_id
    JOIN model USING (model_id)
    """,
)

KNOWLEDGE_NEURONS = View(
    "knowledge_neurons",
    "The knowledge neurons of every finished run.",
    {
        **_FACT_COLUMNS,
        "subject": "Label of the subject.",
        "answer": "Label of the object.",
        **_NEURON_COLUMNS,
        "score": "Mean score over the prompts that select the neuron.",
        "support": "Share of the done prompts that select the neuron.",
        "n_langs": "In how many languages of the fact it is a knowledge neuron.",
        "langs": "Which languages these are, sorted: en,zh.",
        **_RUN_COLUMNS,
    },
    """
    SELECT facts.fact_key, facts.relation, facts.lang, facts.subject, facts.answer,
           shared.layer, shared.neuron, shared.score, shared.support, shared.n_langs,
           shared.langs, model.name AS model, shared.run_id
    FROM (
        SELECT *, count(*) OVER same AS n_langs,
               string_agg(lang, ',' ORDER BY lang) OVER same AS langs
        FROM knowledge_neuron
        WINDOW same AS (PARTITION BY run_id, fact_id, layer, neuron)
    ) AS shared
    JOIN facts ON facts.fact_id = shared.fact_id AND facts.lang = shared.lang
    JOIN run ON run.run_id = shared.run_id
    JOIN model USING (model_id)
    """,
)

LANGUAGE_OVERLAPS = View(
    "language_overlaps",
    "Knowledge neurons shared by several languages of a fact, against chance.",
    {
        "fact_key": _FACT_COLUMNS["fact_key"],
        "relation": _FACT_COLUMNS["relation"],
        "langs": "Languages compared, sorted: en,zh.",
        "n_shared": "Knowledge neurons in all of the languages.",
        "n_union": "Knowledge neurons in any of the languages.",
        "jaccard": "n_shared / n_union.",
        "expected": "n_shared expected of random sets of the same sizes.",
        "p_value": "Chance of at least n_shared in random sets of the same sizes.",
        "q_value": "p_value corrected for the number of facts, Benjamini-Hochberg.",
        "note": "Why there is nothing to compare, or what is missing.",
        **_RUN_COLUMNS,
        "overlap_id": "The request that made the row.",
    },
    """
    SELECT fact.fact_key, relation.label AS relation, stored.langs, stored.n_shared,
           stored.n_union, stored.jaccard, stored.expected, stored.p_value, stored.q_value,
           stored.note, model.name AS model, stored.run_id, stored.overlap_id
    FROM neuron_overlap AS stored
    JOIN fact USING (fact_id)
    JOIN relation ON relation.relation_id = fact.relation_id
    JOIN run ON run.run_id = stored.run_id
    JOIN model USING (model_id)
    """,
)

DEGENERATE_SETS = View(
    "degenerate_sets",
    "Sets of neurons that only together carry a fact, with their neurons.",
    {
        **_FACT_COLUMNS,
        "neurons": "The set's neurons: 2:117,3:5.",
        "size": "Number of neurons in the set.",
        "drop_share": "Drop of the answer's probability when the set is suppressed.",
        "max_subset_drop": "Largest drop of a proper non-empty subset.",
        "is_degenerate": "No subset drops above t_low, and the set above t_high.",
        "kind": "degenerate: of knowledge neurons; control: of random neurons.",
        **_RUN_COLUMNS,
        "search_id": "The search.",
        "set_id": "The set within its search.",
    },
    """
    SELECT fact.fact_key, relation.label AS relation, found.lang, member.neurons, found.size,
           found.drop_share, found.max_subset_drop, found.is_degenerate, found.kind,
           model.name AS model, found.run_id, found.search_id, found.set_id
    FROM degenerate_set AS found
    JOIN (
        SELECT search_id, set_id,
               string_agg(layer || ':' || neuron, ',' ORDER BY layer, neuron) AS neurons
        FROM degenerate_member GROUP BY search_id, set_id
    ) AS member ON member.search_id = found.search_id AND member.set_id = found.set_id
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN run ON run.run_id = found.run_id
    JOIN model USING (model_id)
    """,
)

SEARCHES = View(
    "searches",
    "Searches for degenerate sets, with counts.",
    {
        "search_id": "The search.",
        **_RUN_COLUMNS,
        "status": "running, interrupted or finished.",
        "done": "Facts that were searched, each language by itself.",
        "skipped": "The same, skipped.",
        "found": "Degenerate sets.",
        "found_control": "Random sets that meet the criterion.",
        "settings": "All settings, as JSON.",
        "started_at": "When it first started, UTC.",
        "finished_at": "When it finished, UTC.",
        "kndb_version": "Version of kndb that started it.",
    },
    """
    SELECT search_id, model.name AS model, search.run_id, search.status,
           count(*) FILTER (fact.status = 'done') AS done,
           count(*) FILTER (fact.status = 'skipped') AS skipped,
           coalesce(sum(fact.n_found), 0)::BIGINT AS found,
           coalesce(sum(fact.n_control_found), 0)::BIGINT AS found_control,
           search.settings, search.started_at, search.finished_at, search.kndb_version
    FROM degenerate_search AS search
    JOIN run ON run.run_id = search.run_id
    JOIN model USING (model_id)
    LEFT JOIN degenerate_fact AS fact USING (search_id)
    GROUP BY ALL
    """,
)

EDITS = View(
    "edits",
    "The ledger: every edit, and how well it did.",
    {
        "fact_key": _FACT_COLUMNS["fact_key"],
        "relation": _FACT_COLUMNS["relation"],
        "mode": "suppress, enhance, erase or update.",
        "selection": "Which neurons were taken.",
        "lang": "The language edited from.",
        "langs": "Languages whose neurons were taken.",
        "target": "The new answer.",
        "strength": "Lambda of an update.",
        "n_neurons": "Neurons edited.",
        "reliability": "Share of the edit's own prompts on which it had the wanted effect.",
        "generality": "The same for held-out paraphrases.",
        "transfer": "The same for prompts in the other languages.",
        "locality": "Share of unrelated prompts with the same first choice as before.",
        "harmonic": "Harmonic mean of the four, or of those that are known.",
        "control_harmonic": "The same for random neurons of the same layers.",
        "status": "stored: its weight change can be applied to a copy of the model; measured: it "
        "changes no weights; undone or skipped.",
        "reason": "Why it was skipped, or what is missing.",
        "created_at": "When it was made, UTC.",
        **_RUN_COLUMNS,
        "edit_id": "The edit.",
    },
    """
    SELECT fact.fact_key, relation.label AS relation, edit.mode, edit.selection, edit.lang,
           edit.langs, edit.target, edit.strength, edit.n_neurons, edit.reliability,
           edit.generality, edit.transfer, edit.locality, edit.harmonic, edit.control_harmonic,
           CASE WHEN edit.status <> 'active' THEN edit.status
                WHEN edit.delta IS NULL THEN 'measured' ELSE 'stored' END AS status,
           edit.reason, edit.created_at, model.name AS model, edit.run_id,
           edit.edit_id
    FROM edit
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN run ON run.run_id = edit.run_id
    JOIN model USING (model_id)
    """,
)

EDIT_MEASURES = View(
    "edit_measures",
    "What each edit did to each prompt it was measured on.",
    {
        **_FACT_COLUMNS,
        "text": "The prompt, with [MASK] for the answer.",
        "part": "own, paraphrase, language; other facts: same-relation, same-type, unrelated.",
        "kind": "edit, or control: the same done to random neurons.",
        "old_answer": "The right answer of the data.",
        "new_answer": "The new answer.",
        "p_old_before": "Probability of the old answer, before.",
        "p_old_after": "The same, after.",
        "p_new_before": "Probability of the new answer, before.",
        "p_new_after": "The same, after.",
        "first_before": "The first choice of the model, before.",
        "first_after": "The same, after.",
        "changed": "Whether the first choice has changed.",
        "success": "Whether the edit had the wanted effect on this prompt.",
        "edit_id": "The edit.",
    },
    """
    SELECT fact.fact_key, relation.label AS relation, prompt.lang, prompt.text, measured.part,
           measured.kind, prompt.answer AS old_answer, measured.new_answer,
           measured.p_old_before, measured.p_old_after, measured.p_new_before,
           measured.p_new_after, measured.first_before, measured.first_after,
           measured.changed, measured.success, measured.edit_id
    FROM edit_measure AS measured
    JOIN prompt USING (prompt_id)
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    """,
)

SCORE = View(
    "score",
    "The score of every neuron, of runs that keep all, from the Parquet files beside the database.",
    {
        "run_id": "The run.",
        "prompt_id": "The prompt.",
        **_NEURON_COLUMNS,
        "score": _SCORE,
    },
    "",  # what files there are is known when a database is opened: kndb.store.score_view
    temporary=True,
)

VIEWS = (
    FACTS,
    RUNS,
    PREDICTIONS,
    ATTRIBUTIONS,
    WORD_CONTRIBUTIONS,
    KNOWLEDGE_NEURONS,
    LANGUAGE_OVERLAPS,
    DEGENERATE_SETS,
    SEARCHES,
    EDITS,
    EDIT_MEASURES,
)
"""Every view that is stored, each after those it selects from."""


def statements(view: View) -> list[str]:
    """The SQL that creates a view with its documentation.

    >>> statements(View("v", "All.", {"a": "It's a."}, "SELECT 1 AS a"))[2]
    "COMMENT ON COLUMN v.a IS 'It''s a.'"
    """
    names = ", ".join(view.columns)
    create = "CREATE TEMP VIEW" if view.temporary else "CREATE VIEW"
    return [
        f"{create} {view.name} ({names}) AS {view.select}",
        f"COMMENT ON VIEW {view.name} IS {quoted(view.comment)}",
        *(
            f"COMMENT ON COLUMN {view.name}.{column} IS {quoted(comment)}"
            for column, comment in view.columns.items()
        ),
    ]


def quoted(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
