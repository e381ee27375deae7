"""What is shared: neurons that facts share with a neuron, facts whose languages share the most."""

from __future__ import annotations

import duckdb

from kndb.store.knowledge import Question, rows_of
from kndb.store.result import Result

_NEIGHBOURS = """
    , mine AS MATERIALIZED (SELECT DISTINCT run_id, fact_id, layer, neuron FROM asked),
    total AS (SELECT run_id, count(DISTINCT fact_id) AS n_facts FROM knowledge GROUP BY run_id),
    met AS MATERIALIZED (
        SELECT run_id, layer, neuron, count(DISTINCT fact_id) AS n_shared
        FROM knowledge SEMI JOIN mine USING (run_id, fact_id)
        ANTI JOIN mine USING (layer, neuron)
        GROUP BY ALL
        ORDER BY n_shared DESC, layer, neuron
        LIMIT {top}
    ),
    size AS (
        SELECT run_id, layer, neuron, count(DISTINCT fact_id) AS n_facts
        FROM knowledge SEMI JOIN met USING (run_id, layer, neuron)
        GROUP BY ALL
    )
    SELECT met.layer, met.neuron, n_shared, size.n_facts,
           (SELECT count(*) FROM mine) * size.n_facts / total.n_facts AS expected
    FROM met JOIN size USING (run_id, layer, neuron) JOIN total USING (run_id)
    ORDER BY n_shared DESC, met.layer, met.neuron
"""

_MOST_SHARED = """
    , spoken AS (
        SELECT run_id, fact_id, count(DISTINCT lang) AS n_langs
        FROM asked GROUP BY run_id, fact_id HAVING n_langs > 1
    ),
    counted AS (
        SELECT run_id, fact_id, layer, neuron, count(*) AS n
        FROM asked GROUP BY run_id, fact_id, layer, neuron
    ),
    best AS (
        SELECT run_id, fact_id, n_langs, count(*) AS n_shared
        FROM counted JOIN spoken USING (run_id, fact_id)
        WHERE n = n_langs
        GROUP BY run_id, fact_id, n_langs
        ORDER BY n_langs DESC, n_shared DESC, fact_id
        LIMIT {top}
    )
    SELECT fact_key, relation.label AS relation,
           arg_min(subject, (lang <> 'en', lang)) AS subject,
           arg_min(answer, (lang <> 'en', lang)) AS answer, n_langs, n_shared
    FROM best
    JOIN fact USING (fact_id)
    JOIN relation ON relation.relation_id = fact.relation_id
    JOIN prompt ON prompt.fact_id = best.fact_id
    GROUP BY run_id, best.fact_id, fact_key, relation.label, n_langs, n_shared
    ORDER BY n_langs DESC, n_shared DESC, fact_key
"""


def neighbours(connection: duckdb.DuckDBPyConnection, question: Question, top: int) -> Result:
    """Neurons that share facts with one; see ``kndb.query.Database.neighbours``."""
    return rows_of(connection, question, _NEIGHBOURS.format(top=int(top)))


def most_shared(connection: duckdb.DuckDBPyConnection, question: Question, top: int) -> Result:
    """Facts of the most language-independent neurons; see ``kndb.query.Database.most_shared``."""
    return rows_of(connection, question, _MOST_SHARED.format(top=int(top)))
