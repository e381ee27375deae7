"""Summarises a run from the database, so that a resumed run is counted as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kndb.store.database import connect


@dataclass(frozen=True)
class IngestSummary:
    """A run in figures.

    Attributes:
        run_id: its id.
        model: the model's name.
        adapter: what ran it: ``masked``, ``causal`` or, without a row in the table of
            architectures, ``general``.
        dataset: the data set's name.
        facts: facts with at least one prompt.
        prompts: by language, prompts attributed and prompts skipped.
        skipped: by reason, prompts skipped.
        unknown: by reason, prompts whose answer the model does not know.
        failed: by what was not finite, how many prompts failed, and one of them.
        unasked: by relation and language, facts none of whose prompts could be asked; most
            first.
        accuracy: share of the prompts asked whose answer is the model's first choice; None if no
            prompt was asked.
        worst_completeness: largest relative completeness residual; None
            if no prompt was attributed.
        worst_score_error: largest estimated error of a prompt's scores; None also for a fixed
            rule.
        inexact: prompts whose residual or score error is above the tolerance.
        knowledge_neurons: rows of refined neurons.
        new_prompts: prompts handled by this call; 0 if all were stored before.
        seconds: seconds taken by this call.
        shards: what of the run is there, such as ``1,3/4``; None if all is.
    """

    run_id: int
    model: str
    adapter: str
    dataset: str
    facts: int
    prompts: dict[str, tuple[int, int]]
    skipped: dict[str, int]
    unknown: dict[str, int]
    failed: dict[str, tuple[int, str]]
    unasked: dict[tuple[str, str], int]
    accuracy: float | None
    worst_completeness: float | None
    worst_score_error: float | None
    inexact: int
    knowledge_neurons: int
    new_prompts: int
    seconds: float
    shards: str | None = None


_WHOLE = """
    SELECT model.name, dataset.name,
           (SELECT count(*) FROM knowledge_neuron WHERE run_id = run.run_id), run.shards
    FROM run JOIN model USING (model_id) JOIN dataset USING (dataset_id)
    WHERE run_id = ?
"""
_PREDICTIONS = """
    SELECT count(DISTINCT fact_id),
           avg(CAST(rank = 1 AS INT)) FILTER (rank IS NOT NULL),
           max(completeness), max(score_error),
           (SELECT inexact FROM runs WHERE run_id = $1)
    FROM prediction JOIN prompt USING (prompt_id)
    WHERE run_id = $1
"""
_LANGUAGES = """
    SELECT lang, count(*) FILTER (status = 'done'), count(*) FILTER (status = 'skipped')
    FROM prediction JOIN prompt USING (prompt_id)
    WHERE run_id = ?
    GROUP BY lang ORDER BY lang
"""
_REASONS = """
    SELECT reason, count(*) FROM prediction
    WHERE run_id = ? AND status = '{status}'
    GROUP BY reason ORDER BY count(*) DESC, reason
"""
_FAILED = """
    SELECT reason, count(*), min(text) FROM prediction JOIN prompt USING (prompt_id)
    WHERE run_id = ? AND status = 'failed'
    GROUP BY reason ORDER BY count(*) DESC, reason
"""
_UNASKED = """
    WITH own AS (
        SELECT relation_id, lang, fact_id, bool_or(status <> 'skipped') AS asked
        FROM prediction JOIN prompt USING (prompt_id) JOIN fact USING (fact_id)
        WHERE run_id = ? GROUP BY ALL
    )
    SELECT relation_id, lang, count(*) FROM own WHERE NOT asked
    GROUP BY ALL ORDER BY count(*) DESC, relation_id, lang
"""


def summarise(
    path: Path, run_id: int, adapter: str, new_prompts: int, seconds: float
) -> IngestSummary:
    """Summarise a run.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection:

        def rows(sql: str) -> list[tuple]:  # type: ignore[type-arg]
            return connection.execute(sql, [run_id]).fetchall()

        ((model, dataset, neurons, shards),) = rows(_WHOLE)
        ((facts, accuracy, residual, error, inexact),) = rows(_PREDICTIONS)
        return IngestSummary(
            run_id,
            model,
            adapter,
            dataset,
            facts,
            {lang: (done, skipped) for lang, done, skipped in rows(_LANGUAGES)},
            dict(rows(_REASONS.format(status="skipped"))),
            dict(rows(_REASONS.format(status="unknown"))),
            {reason: (n, text) for reason, n, text in rows(_FAILED)},
            {(relation, lang): n for relation, lang, n in rows(_UNASKED)},
            accuracy,
            residual,
            error,
            inexact,
            neurons,
            new_prompts,
            seconds,
            shards,
        )
