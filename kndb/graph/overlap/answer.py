"""Language-independent neurons: what the languages of a fact share, compared with chance.

>>> from kndb.graph.overlap import overlap
>>> overlap("kndb.duckdb", langs=["en", "zh"]).to_dicts()[0]["neurons"]  # doctest: +SKIP
'2:117,3:5'

A fact is compared in those requested languages in which the run completed at least one of its
prompts. With ``store``, results are also kept in the table ``neuron_overlap``, with the settings
that produced them; repeating the request replaces them. No model is run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from kndb.errors import NotFound
from kndb.graph.overlap.compared import Compared, compare
from kndb.graph.overlap.request import OverlapBy, Request, find_request
from kndb.graph.overlap.rows import fact_rows, pair_rows, relation_rows
from kndb.notes import note
from kndb.store.database import connect, transaction
from kndb.store.ids import canonical_json
from kndb.store.lookup import Names
from kndb.store.readonly import reading
from kndb.store.result import Result
from kndb.store.runs import with_models

if TYPE_CHECKING:
    import pyarrow as pa

_HEAD = {
    "fact": "fact.fact_key, relation.label AS relation, subject, answer, langs, sizes, n_shared,"
    " n_union, jaccard, expected, p_value, q_value, neurons, note",
    "relation": "rows.relation_id, relation.label AS relation, langs, n_facts, sizes, n_shared,"
    " n_union, jaccard, expected, p_value, q_value, n_significant, shared_by_facts,"
    " shared_by_facts_expected, note",
    "language-pair": "langs, n_facts, sizes, n_shared, n_union, jaccard, expected, p_value,"
    " q_value, n_significant, note",
}
_ORDER = {
    "fact": "fact.fact_key, rows.fact_id",
    "relation": "rows.relation_id",
    "language-pair": "langs",
}


def overlap(
    path: str | PathLike[str],
    by: OverlapBy = "fact",
    langs: Names | None = None,
    fact: Names | None = None,
    relation: Names | None = None,
    model: Names | None = None,
    run: str | int | None = None,
    tau: float | None = None,
    share: float | None = None,
    *,
    store: bool = False,
) -> Result:
    """Compare the knowledge neurons of each fact between languages, and with chance.

    Args:
        path: the database's path, or a ``Database``.
        by: ``fact`` returns one row per fact, with the neurons that all its languages share;
            ``relation`` returns one row per relation and ``language-pair`` one per pair of
            languages, both summed over the facts that have at least two of the languages.
        langs: two or more languages. Default: all languages of the run.
        fact, relation, model, run, tau, share: as in ``kndb.query.Database.query``.
        store: also save the rows in ``neuron_overlap``.

    Returns:
        By fact: ``fact_key, relation, subject, answer, langs, sizes, n_shared, n_union, jaccard,
        expected, p_value, q_value, neurons, note, model, run_id``. Subject and answer are in
        English if the database has them in English. ``sizes`` follows the order of ``langs``.
        ``expected`` and ``p_value`` are for random sets of these sizes (``kndb.graph.chance``);
        ``q_value`` is corrected for all selected facts of the run. ``note`` says what is missing:
        no neurons in some language, or only one language.
        By relation or language pair, the numbers are sums over ``n_facts`` facts, ``p_value`` is
        an upper bound, ``q_value`` is corrected for the rows of the run, and ``n_significant``
        counts facts whose own q-value is at most 0.05. By relation, ``shared_by_facts`` is the
        mean number of neurons that two facts of the relation share in one language.

    Raises:
        NotFound: there is no such fact, relation, model, run or language, or the run has only one
            language.
        UsageError: a value is out of range, or fewer than two languages are given.
        DatabaseError: the database cannot be opened, or with ``store`` cannot be written to.
    """
    path = Path(path)
    with connect(path) as connection, reading(connection):
        request = find_request(connection, by, langs, fact, relation, model, run, tau, share)
        parts = _answers(connection, request)
        found = _joined(connection, request, list(parts.values()))
    if store:
        _store(path, request, parts)
    return found


def _answers(
    connection: duckdb.DuckDBPyConnection, request: Request
) -> dict[int, dict[str, pa.Table]]:
    """What ``answer`` gives for each run that has something to compare; a note names the others."""
    parts, missing = {}, []
    for run_id in request.runs:
        try:
            parts[run_id] = answer(connection, request, run_id)
        except NotFound as error:
            missing.append(error)
    if not parts:
        raise missing[0]
    for left_out in missing:
        note(str(left_out))
    return parts


def answer(
    connection: duckdb.DuckDBPyConnection, request: Request, run_id: int
) -> dict[str, pa.Table]:
    """The rows of one run, as they are stored, and the shared neurons of its facts."""
    compared = compare(connection, request, run_id)
    if len(compared.scope.langs) < 2:
        lang = ", ".join(compared.scope.langs)
        raise NotFound(
            f"Run {run_id} has one language only, {lang}; an overlap compares two or more."
        )
    make = {"fact": fact_rows, "relation": relation_rows, "language-pair": pair_rows}[request.by]
    with ThreadPoolExecutor(1) as pool:
        neurons = pool.submit(_neurons, compared, request.by)
        return {"rows": make(connection, compared), "neurons": neurons.result()}


def _neurons(compared: Compared, by: OverlapBy) -> pa.Table:
    """The neurons that all languages of a fact share; empty unless rows are by fact."""
    import pyarrow as pa  # Deferred: saves 0.1 s for other commands.

    shown: Any = slice(0)
    if by == "fact":
        shown = compared.shared_langs == compared.done[compared.shared_fact]
    layer, neuron = np.divmod(compared.shared_cell[shown], compared.scope.n_neurons)
    fact_id = compared.fact_ids[compared.shared_fact[shown]]
    return pa.table({"fact_id": fact_id, "layer": layer, "neuron": neuron})


_LISTED = """
    SELECT {head}, model.name AS model, rows.run_id
    FROM new_rows AS rows
    JOIN run ON run.run_id = rows.run_id
    JOIN model USING (model_id)
    LEFT JOIN fact ON fact.fact_id = rows.fact_id
    LEFT JOIN relation ON relation.relation_id = coalesce(rows.relation_id, fact.relation_id)
    LEFT JOIN (
        SELECT fact_id, string_agg(layer || ':' || neuron, ',' ORDER BY layer, neuron) AS neurons
        FROM new_neurons GROUP BY fact_id
    ) AS shared ON shared.fact_id = rows.fact_id
    LEFT JOIN (
        SELECT fact_id, arg_min(subject, rank) AS subject, arg_min(answer, rank) AS answer
        FROM (SELECT *, (lang <> 'en') || lang AS rank FROM prompt)
        WHERE fact_id IN (SELECT fact_id FROM new_rows)
        GROUP BY fact_id
    ) AS label ON label.fact_id = rows.fact_id
    ORDER BY {order}
"""


def _joined(
    connection: duckdb.DuckDBPyConnection, request: Request, parts: list[dict[str, pa.Table]]
) -> Result:
    """The rows of all runs, with the names of facts, relations and models."""
    results = []
    for part in parts:
        connection.register("new_rows", part["rows"])
        connection.register("new_neurons", part["neurons"])
        sql = _LISTED.format(head=_HEAD[request.by], order=_ORDER[request.by])
        results.append(Result.read(connection.execute(sql)))
    rows = [row for result in results for row in result]
    return with_models(connection, Result(results[0].columns, results[0].types, rows))


def _store(path: str | Path, request: Request, parts: dict[int, dict[str, pa.Table]]) -> None:
    """Replace the stored rows of this request in one short transaction."""
    with transaction(path) as connection:
        for run_id, part in parts.items():
            known_by = [request.overlap_id(run_id), canonical_json(request.asked)]
            connection.execute("DELETE FROM neuron_overlap WHERE overlap_id = ?", known_by[:1])
            connection.register("new_rows", part["rows"])
            connection.execute(
                "INSERT INTO neuron_overlap BY NAME "
                "SELECT ?::BIGINT AS overlap_id, ? AS settings, * FROM new_rows "
                "ORDER BY relation_id, fact_id, langs",
                known_by,
            )
