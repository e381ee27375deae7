"""Language-independent neurons: what the languages of a fact share, compared with chance.

>>> from kndb.graph.overlap.request import overlap
>>> overlap("kndb.duckdb", langs=["en", "zh"]).to_dicts()[0]["neurons"]  # doctest: +SKIP
'2:117,3:5'

A fact is compared in those requested languages in which the run completed at least one of its
prompts. Results are stored in the table ``neuron_overlap`` with the settings that produced them;
repeating the request replaces them. No model is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import duckdb
import numpy as np

from kndb.errors import NotFound, UsageError
from kndb.facts import content_id
from kndb.graph.chance import Ints
from kndb.graph.overlap.counts import MAX_LANGS, Counts, Scope, count_shared
from kndb.graph.overlap.rows import Compared, fact_rows, pair_rows, relation_rows
from kndb.store.database import connect, transaction
from kndb.store.ids import canonical_json
from kndb.store.lookup import find_facts, find_model, find_relation, find_run, newest_runs
from kndb.store.readonly import reading
from kndb.store.refine import check_thresholds
from kndb.store.result import Result

if TYPE_CHECKING:
    import pyarrow as pa

By = Literal["fact", "relation", "language-pair"]
LEVELS: tuple[By, ...] = get_args(By)

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


@dataclass(frozen=True)
class Request:
    """An overlap request, resolved to ids."""

    by: By
    runs: list[int]
    langs: tuple[str, ...] | None
    facts: list[int] | None
    relation_id: str | None
    tau: float | None
    share: float | None
    asked: dict[str, Any]
    """The request as the user made it, for the column ``settings``."""

    def overlap_id(self, run_id: int) -> int:
        """The id under which the rows of this request and run are stored."""
        return content_id("overlap", run_id, canonical_json(self.asked))


def overlap(
    path: str | Path,
    by: By = "fact",
    langs: Sequence[str] | None = None,
    fact: str | None = None,
    relation: str | None = None,
    model: str | None = None,
    run: str | int | None = None,
    tau: float | None = None,
    share: float | None = None,
    *,
    store: bool = True,
) -> Result:
    """Compare the knowledge neurons of each fact between languages, and with chance.

    Args:
        path: the database.
        by: ``fact`` returns one row per fact, with the neurons that all its languages share;
            ``relation`` returns one row per relation and ``language-pair`` one per pair of
            languages, both summed over the facts that have at least two of the languages.
        langs: two or more languages. Default: all languages of the run.
        fact, relation, model, run, tau, share: as in ``kndb.query.Database.query``.
        store: save the rows in ``neuron_overlap``.

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
        NotFound: there is no such fact, relation, model, run or language, or no finished run.
        UsageError: a value is out of range, or fewer than two languages are given.
        DatabaseError: the database cannot be opened, or with ``store`` cannot be written to.
    """
    with connect(path) as connection, reading(connection):
        request = _request(connection, by, langs, fact, relation, model, run, tau, share)
        parts = [_answer(connection, request, run_id) for run_id in request.runs]
        found = _joined(connection, request, parts)
    if store:
        _store(path, request, parts)
    return found


def _request(
    connection: duckdb.DuckDBPyConnection,
    by: By,
    langs: Sequence[str] | None,
    fact: str | None,
    relation: str | None,
    model: str | None,
    run: str | int | None,
    tau: float | None,
    share: float | None,
) -> Request:
    check_thresholds(tau, share)
    if by not in LEVELS:
        raise UsageError(f"Overlaps cannot be summed by {by!r}; use {', '.join(LEVELS)}.")
    chosen = None if not langs else tuple(sorted({lang.strip().lower() for lang in langs}))
    if chosen is not None and len(chosen) < 2:
        raise UsageError(f"{chosen[0]!r} is one language; give two or more to compare.")
    relation_id = None if relation is None else find_relation(connection, relation)
    models = None if model is None else find_model(connection, model)
    return Request(
        by=by,
        runs=newest_runs(connection, models)
        if run is None
        else [find_run(connection, str(run), models)],
        langs=chosen,
        facts=_facts(connection, fact, relation_id),
        relation_id=relation_id,
        tau=tau,
        share=share,
        asked={
            "by": by,
            "langs": chosen,
            "fact": fact,
            "relation": relation_id,
            "tau": tau,
            "share": share,
        },
    )


def _facts(
    connection: duckdb.DuckDBPyConnection, fact: str | None, relation_id: str | None
) -> list[int] | None:
    """Ids of the selected facts; None for all."""
    if fact is None and relation_id is None:
        return None
    rows = connection.execute(
        "SELECT fact_id FROM fact WHERE ($relation IS NULL OR relation_id = $relation) "
        "AND ($facts IS NULL OR list_contains($facts, fact_id))",
        {
            "relation": relation_id,
            "facts": None if fact is None else find_facts(connection, fact),
        },
    ).fetchall()
    if not rows:
        raise NotFound(f"Relation {relation_id} has no fact that matches {fact!r}.")
    return [fact_id for (fact_id,) in rows]


def _answer(
    connection: duckdb.DuckDBPyConnection, request: Request, run_id: int
) -> dict[str, pa.Table]:
    """The rows of one run, as they are stored, and the shared neurons of its facts."""
    compared = compare(connection, request, run_id)
    make = {"fact": fact_rows, "relation": relation_rows, "language-pair": pair_rows}[request.by]
    with ThreadPoolExecutor(1) as pool:
        neurons = pool.submit(_neurons, compared, request.by)
        return {"rows": make(connection, compared), "neurons": neurons.result()}


def compare(connection: duckdb.DuckDBPyConnection, request: Request, run_id: int) -> Compared:
    """Count what the languages of each fact in a run share, and which languages were run.

    Raises:
        NotFound: the run lacks one of the languages, or has none of the facts.
        UsageError: thresholds are given, but the run has no raw scores, or there are too many
            languages.
    """
    n_layers, n_neurons, refined = _model(connection, run_id)
    if (request.tau, request.share) != (None, None) and not refined:
        raise UsageError(f"Run {run_id} was imported without raw scores; omit tau and share.")
    known = _known_langs(connection)
    fact_ids, done = _done(connection, request, run_id, known)
    there = int(np.bitwise_or.reduce(done))
    in_run = tuple(lang for bit, lang in enumerate(known) if there >> bit & 1)
    langs = _chosen(request.langs, in_run)
    scope = Scope(
        run_id=run_id,
        n_layers=n_layers,
        n_neurons=n_neurons,
        langs=langs,
        only_these_langs=len(langs) < len(in_run),
        facts=request.facts,
        tau=request.tau,
        share=request.share,
    )
    counts = count_shared(connection, scope)
    picked = _picked(done, [known.index(lang) for lang in langs])
    return _aligned(scope, counts, fact_ids, picked)


def _model(connection: duckdb.DuckDBPyConnection, run_id: int) -> tuple[int, int, bool]:
    """Number of layers, neurons per layer, and whether the run has raw scores."""
    ((n_layers, n_neurons, preset),) = connection.execute(
        "SELECT n_layers, n_neurons, preset FROM run JOIN model USING (model_id) WHERE run_id = ?",
        [run_id],
    ).fetchall()
    return n_layers, n_neurons, preset != "imported"


def _known_langs(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT lang FROM prompt ORDER BY lang").fetchall()
    if len(rows) > MAX_LANGS:
        raise UsageError(
            f"The database has {len(rows)} languages, but at most {MAX_LANGS} can be compared; "
            "split the data over several databases."
        )
    return [lang for (lang,) in rows]


_DONE = """
    SELECT fact_id, CAST(list_position($langs, lang) - 1 AS UTINYINT) AS lang
    FROM prompt
    WHERE {asked} AND {chosen}
"""
_ASKED = """prompt_id IN (
    SELECT prompt_id FROM prediction WHERE run_id = $run AND status = 'done'
)"""
_ASKED_EVERYTHING = """
    SELECT (SELECT count(*) FROM prediction WHERE run_id = ? AND status = 'done')
           = (SELECT count(*) FROM prompt)
"""


def _done(
    connection: duckdb.DuckDBPyConnection, request: Request, run_id: int, known: list[str]
) -> tuple[Ints, Ints]:
    """The facts of the run in ascending order, and their languages as bits in ``known`` order."""
    params: dict[str, Any] = {"langs": known}
    asked = chosen = "true"
    if connection.execute(_ASKED_EVERYTHING, [run_id]).fetchall() != [(True,)]:
        params["run"] = run_id  # only if needed: looking up every prompt takes most of the time
        asked = _ASKED
    if request.facts is not None:
        params["facts"] = request.facts
        chosen = "fact_id IN (SELECT unnest($facts))"
    found = (
        connection.execute(_DONE.format(asked=asked, chosen=chosen), params)
        .to_arrow_reader()
        .read_all()
    )
    if not len(found):
        raise NotFound(f"Run {run_id} has none of the selected facts; choose others.")
    return _by_fact(*(column.to_numpy() for column in found.columns))


def _by_fact(fact_ids: Ints, lang: Ints) -> tuple[Ints, Ints]:
    """Distinct facts in ascending order and their language bits; faster than a GROUP BY."""
    if np.any(fact_ids[1:] < fact_ids[:-1]):  # stored out of order
        order = np.argsort(fact_ids, kind="stable")
        fact_ids, lang = fact_ids[order], lang[order]
    begins = np.append(0, np.flatnonzero(fact_ids[1:] != fact_ids[:-1]) + 1)
    return fact_ids[begins], np.bitwise_or.reduceat(np.int64(1) << lang.astype(np.int64), begins)


def _chosen(asked: tuple[str, ...] | None, in_run: tuple[str, ...]) -> tuple[str, ...]:
    if asked is None:
        return in_run
    by_code = {lang.lower(): lang for lang in in_run}
    for lang in asked:
        if lang not in by_code:
            raise NotFound(f"The run has no prompts in language {lang!r}.", in_run)
    return tuple(sorted(by_code[lang] for lang in asked))


def _picked(done: Ints, places: list[int]) -> Ints:
    """Extract the bits at ``places`` and pack them together."""
    if places == list(range(int(done.max()).bit_length())):
        return done
    picked = np.zeros_like(done)
    for bit, place in enumerate(places):
        picked |= (done >> place & 1) << bit
    return picked


def _aligned(scope: Scope, counts: Counts, fact_ids: Ints, done: Ints) -> Compared:
    """Counts for every fact of the run, including those without neurons."""
    place = np.searchsorted(fact_ids, counts.fact_ids)
    # Column-major: later steps read one language at a time.
    sizes = np.zeros((len(fact_ids), len(scope.langs)), dtype=np.int64, order="F")
    sizes[place] = counts.sizes
    n_union = np.zeros(len(fact_ids), dtype=np.int64)
    n_union[place] = counts.n_union
    return Compared(
        scope=scope,
        fact_ids=fact_ids,
        done=done,
        sizes=sizes,
        n_union=n_union,
        shared_fact=place[counts.shared_fact],
        shared_cell=counts.shared_cell,
        shared_langs=counts.shared_langs,
    )


def _neurons(compared: Compared, by: By) -> pa.Table:
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
    return Result(results[0].columns, results[0].types, rows)


def _store(path: str | Path, request: Request, parts: list[dict[str, pa.Table]]) -> None:
    """Replace the stored rows of this request in one short transaction."""
    with transaction(path) as connection:
        for run_id, part in zip(request.runs, parts, strict=True):
            known_by = [request.overlap_id(run_id), canonical_json(request.asked)]
            connection.execute("DELETE FROM neuron_overlap WHERE overlap_id = ?", known_by[:1])
            connection.register("new_rows", part["rows"])
            connection.execute(
                "INSERT INTO neuron_overlap BY NAME "
                "SELECT ?::BIGINT AS overlap_id, ? AS settings, * FROM new_rows "
                "ORDER BY relation_id, fact_id, langs",
                known_by,
            )
