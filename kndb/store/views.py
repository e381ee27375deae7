"""The views of a kndb database: its tables joined under readable names, for people writing SQL.

Each view and each of its columns is documented here, and the documentation is stored in the
database. Every migration recreates them, so a changed view needs a new revision, if an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """One view: its name, what it holds, its columns in order with their meaning, its SELECT."""

    name: str
    comment: str
    columns: Mapping[str, str]
    select: str


_FACT_COLUMNS = {
    "fact_key": "Relation and subject, for example P36:Q142.",
    "relation": "Label of the relation.",
    "lang": "Language code.",
}
_NEURON_COLUMNS = {
    "layer": "Layer of the neuron, from 0.",
    "neuron": "Index of the neuron within its layer, from 0.",
}
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
    "Runs with what became of their prompts.",
    {
        "run_id": "The run.",
        "model": "Name of the model.",
        "dataset": "Name of the data set.",
        "preset": "Attribution preset.",
        "status": "running, interrupted or finished.",
        "facts": "Facts with at least one prompt done.",
        "done": "Prompts done.",
        "skipped": "Prompts skipped.",
        "accuracy": "Share of the done prompts with the answer as the model's first choice.",
        "completeness": "Worst relative completeness residual.",
        "tau": "Threshold of its knowledge neurons.",
        "share": "Share of prompts of its knowledge neurons.",
        "started_at": "When it first started, UTC.",
        "finished_at": "When it finished, UTC.",
        "kndb_version": "Version of kndb that started it.",
    },
    """
    SELECT run.run_id, model.name AS model, dataset.name AS dataset, run.preset, run.status,
           count(DISTINCT prompt.fact_id) FILTER (prediction.status = 'done') AS facts,
           count(*) FILTER (prediction.status = 'done') AS done,
           count(*) FILTER (prediction.status = 'skipped') AS skipped,
           avg(CAST(prediction.rank = 1 AS INTEGER)) FILTER (prediction.status = 'done')
               AS accuracy,
           max(prediction.completeness) AS completeness,
           run.tau, run.share, run.started_at, run.finished_at, run.kndb_version
    FROM run
    JOIN model USING (model_id)
    JOIN dataset USING (dataset_id)
    LEFT JOIN prediction ON prediction.run_id = run.run_id
    LEFT JOIN prompt ON prompt.prompt_id = prediction.prompt_id
    GROUP BY run.run_id, model.name, dataset.name, run.preset, run.status,
             run.tau, run.share, run.started_at, run.finished_at, run.kndb_version
    """,
)

PREDICTIONS = View(
    "predictions",
    "What the models answered, prompt by prompt.",
    {
        **_FACT_COLUMNS,
        "text": "The prompt, with [MASK] for the answer.",
        "answer": "The right answer.",
        "predicted": "The model's first choice.",
        "rank": "Rank of the answer, 1 is the first choice.",
        "p_answer": "Probability of the answer.",
        "n_answer_tokens": "Number of tokens of the answer.",
        "completeness": "Worst relative completeness residual.",
        "status": "done or skipped.",
        "reason": "Why the prompt was skipped.",
        **_RUN_COLUMNS,
    },
    """
    SELECT fact.fact_key, relation.label AS relation, prompt.lang, prompt.text, prompt.answer,
           prediction.predicted, prediction.rank, prediction.p_answer,
           prediction.n_answer_tokens, prediction.completeness,
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
        "score": "Attribution of the answer's probability to the neuron.",
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
        **_RUN_COLUMNS,
    },
    """
    SELECT facts.fact_key, facts.relation, facts.lang, facts.subject, facts.answer,
           shared.layer, shared.neuron, shared.score, shared.support, shared.n_langs,
           model.name AS model, shared.run_id
    FROM (
        SELECT *, count(*) OVER (PARTITION BY run_id, fact_id, layer, neuron) AS n_langs
        FROM knowledge_neuron
    ) AS shared
    JOIN facts ON facts.fact_id = shared.fact_id AND facts.lang = shared.lang
    JOIN run ON run.run_id = shared.run_id
    JOIN model USING (model_id)
    """,
)

VIEWS = (FACTS, RUNS, PREDICTIONS, ATTRIBUTIONS, KNOWLEDGE_NEURONS)
"""Every view, each after those it selects from."""


def statements(view: View) -> list[str]:
    """The SQL that creates a view with its documentation.

    >>> statements(View("v", "All.", {"a": "It's a."}, "SELECT 1 AS a"))[2]
    "COMMENT ON COLUMN v.a IS 'It''s a.'"
    """
    names = ", ".join(view.columns)
    return [
        f"CREATE VIEW {view.name} ({names}) AS {view.select}",
        f"COMMENT ON VIEW {view.name} IS {_quoted(view.comment)}",
        *(
            f"COMMENT ON COLUMN {view.name}.{column} IS {_quoted(comment)}"
            for column, comment in view.columns.items()
        ),
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
