"""How models answered: prompt by prompt, and summed by relation and language. Reads only."""

from __future__ import annotations

from typing import Any

import duckdb

from kndb.store.knowledge import lower_langs
from kndb.store.lookup import Names, find_relations
from kndb.store.prompts import fact_in_run
from kndb.store.result import Result
from kndb.store.runs import find_run

_OF_FACT = """
    SELECT lang, subject, text, answer, predicted, rank, p_answer, n_answer_tokens, completeness,
           score_error, coalesce(status, 'not asked') AS status, reason
    FROM (FROM prompt WHERE fact_id IN (SELECT unnest($facts)))
    LEFT JOIN (
        FROM prediction WHERE run_id = $run AND prompt_id IN (SELECT unnest($prompts))
    ) USING (prompt_id)
    ORDER BY lang, template, text
"""

_SUMMED = """
    SELECT relation_id, relation.label AS relation, lang, count(DISTINCT fact_id) AS facts,
           count(*) FILTER (status = 'done') AS done,
           count(*) FILTER (status <> 'done') AS not_done,
           avg(CAST(rank = 1 AS INTEGER)) AS accuracy, avg(p_answer) AS p_answer
    FROM prediction
    JOIN prompt USING (prompt_id)
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    WHERE run_id = $run
          AND ($relations IS NULL OR list_contains($relations, relation_id))
          AND ($langs IS NULL OR list_contains($langs, lower(lang)))
    GROUP BY relation_id, relation.label, lang
    ORDER BY relation_id, lang
"""


def answers_to(connection: duckdb.DuckDBPyConnection, fact: Names, run: str | int) -> Result:
    """A fact's prompts, and what a run's model answered; see ``kndb.query.Database.answers``."""
    return Result.read(connection.execute(_OF_FACT, fact_in_run(connection, fact, run)))


def accuracies(
    connection: duckdb.DuckDBPyConnection,
    run: str | int,
    relation: Names | None,
    lang: Names | None,
) -> Result:
    """Shares of right answers by relation and language; see ``kndb.query.Database.accuracy``."""
    asked: dict[str, Any] = {
        "run": find_run(connection, run),
        "relations": None if relation is None else find_relations(connection, relation),
        "langs": None if lang is None else lower_langs(lang),
    }
    return Result.read(connection.execute(_SUMMED, asked))
