"""Where neurons are: counts and scores by layer, and the map of all neurons in cells. Reads only.

The map has cells so that its size does not grow with the number of neurons.
"""

from __future__ import annotations

import duckdb

from kndb.errors import UsageError
from kndb.plain import is_whole
from kndb.store.knowledge import Question, rows_of
from kndb.store.lookup import Names
from kndb.store.prompts import fact_in_run
from kndb.store.result import Result
from kndb.store.runs import find_run, read_runs

_BY_LAYER = """
    SELECT layer, count(DISTINCT neuron) AS n_neurons, count(DISTINCT fact_id) AS n_facts,
           count(DISTINCT relation_id) AS n_relations, avg(score) AS score
    FROM asked JOIN fact USING (fact_id) GROUP BY layer ORDER BY layer
"""

_CELLS = """
    SELECT layer, cell, count(*) AS n_neurons, max(n_facts) AS n_facts,
           max(n_relations) AS n_relations, arg_max(neuron, (n_facts, -neuron)) AS neuron
    FROM (
        SELECT layer, neuron, neuron * {cells} // {width} AS cell,
               count(DISTINCT fact_id) AS n_facts, count(DISTINCT relation_id) AS n_relations
        FROM asked JOIN fact USING (fact_id) GROUP BY layer, neuron
    )
    GROUP BY layer, cell ORDER BY layer, cell
"""

_SCORES = """
    WITH done AS MATERIALIZED (
        SELECT prompt_id, lang, count(*) OVER (PARTITION BY lang) AS n_prompts
        FROM (FROM prediction WHERE prompt_id IN (SELECT unnest($prompts)))
        JOIN (FROM prompt WHERE fact_id IN (SELECT unnest($facts))) USING (prompt_id)
        WHERE run_id = $run AND status = 'done'
    )
    SELECT lang, layer, count(DISTINCT neuron) AS n_neurons,
           sum(CAST(score AS DOUBLE)) / any_value(n_prompts) AS score
    FROM (FROM attribution WHERE run_id = $run AND prompt_id IN (SELECT unnest($prompts)))
    JOIN done USING (prompt_id)
    GROUP BY lang, layer ORDER BY lang, layer
"""


def neurons_by_layer(connection: duckdb.DuckDBPyConnection, question: Question) -> Result:
    """``layer, n_neurons, n_facts, n_relations, score``; see ``kndb.query.Database.layers``."""
    return rows_of(connection, question, _BY_LAYER)


def neuron_cells(connection: duckdb.DuckDBPyConnection, question: Question, cells: int) -> Result:
    """The neurons of a run in cells; see ``kndb.query.Database.neuron_cells``."""
    if not (is_whole(cells) and cells >= 1):
        raise UsageError(f"cells is {cells!r:.40}, but must be a whole number of at least 1.")
    assert question.run is not None
    (run,) = read_runs(connection, [find_run(connection, question.run)])
    return rows_of(connection, question, _CELLS.format(cells=int(cells), width=run.n_neurons))


def layer_scores(connection: duckdb.DuckDBPyConnection, fact: Names, run: str | int) -> Result:
    """Raw scores by language and layer; see ``kndb.query.Database.layer_scores``."""
    return Result.read(connection.execute(_SCORES, fact_in_run(connection, fact, run)))
