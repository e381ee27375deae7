"""Builds networkx graphs from stored rows: neurons, facts, relations, languages and their edges.

Nodes are strings: ``neuron 2:117``, ``fact P36:Q142``, ``relation P36``, ``language en``. Every
node has a ``kind`` and a ``label``, every edge a ``kind`` and a ``weight``:

=====================  ==========================================================================
fact - neuron          ``recalls``: the neuron is a knowledge neuron of the fact; the weight is its
                       mean score over the fact's ``langs`` (1 if it was imported without a score)
fact - relation        ``of``: the fact belongs to the relation; the weight is 1
neuron - relation      ``serves``: only in graphs without facts; the weight is a number of facts
neuron - language      ``used in``: the weight is a number of facts
neuron - neuron        ``degenerate``: a degenerate pair of a fact; the weight is the largest drop
                       in the answer's probability when both are suppressed
=====================  ==========================================================================

A graph covers one run. This module computes no measures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.store.database import connect
from kndb.store.lookup import find_facts, find_model, find_relation, find_run, newest_runs
from kndb.store.readonly import reading
from kndb.store.which_search import find_search, newest_search

if TYPE_CHECKING:
    import networkx as nx

Kind = Literal["neuron", "fact", "relation", "language"]
KINDS: tuple[Kind, ...] = get_args(Kind)

RECALLS, OF, SERVES, USED_IN, DEGENERATE = "recalls", "of", "serves", "used in", "degenerate"


@dataclass(frozen=True)
class Selection:
    """Which knowledge neurons of which run, by the names users give, as in ``Database.query``.

    ``search`` is the id of a search for degenerate neurons, or the first digits of one. If ``run``
    is None, the search also determines the run. If ``search`` is None, degenerate pairs come from
    the run's newest search.
    """

    fact: str | None = None
    relation: str | None = None
    langs: Sequence[str] = ()
    model: str | None = None
    run: str | int | None = None
    search: str | int | None = None


EVERYTHING = Selection()
"""All knowledge neurons; there must be only one run."""


@dataclass(frozen=True)
class Found:
    """A selection resolved to ids, with the connection to query it.

    ``search_id`` is None if the run has not been searched for degenerate neurons; ``facts`` and
    ``langs`` are None for all.
    """

    connection: duckdb.DuckDBPyConnection
    run_id: int
    search_id: int | None
    model: str
    n_layers: int
    n_neurons: int
    facts: list[int] | None
    langs: list[str] | None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run ``sql``, which may use the CTEs ``chosen``, ``searched`` and ``pair``."""
        params = {
            "run": self.run_id,
            "search": self.search_id,
            "facts": self.facts,
            "langs": self.langs,
        }
        used = {name: value for name, value in params.items() if f"${name}" in _CHOSEN + sql}
        return self.connection.execute(f"WITH {_CHOSEN}{sql}", used).fetchall()


_CHOSEN = """
    chosen AS (
        SELECT knowledge_neuron.*, relation_id
        FROM knowledge_neuron JOIN fact USING (fact_id)
        WHERE run_id = $run AND ($facts IS NULL OR list_contains($facts, fact_id))
              AND ($langs IS NULL OR list_contains($langs, lower(lang)))
    ),
    searched AS (SELECT * FROM degenerate_search WHERE search_id = $search),
    pair AS (
        SELECT found.fact_id, relation_id, lang, drop_share,
               min((layer, neuron)) AS one, max((layer, neuron)) AS other
        FROM degenerate_set AS found
        JOIN degenerate_member USING (search_id, set_id)
        JOIN fact ON fact.fact_id = found.fact_id
        WHERE search_id = $search
              AND kind = 'degenerate' AND is_degenerate AND size = 2
              AND ($facts IS NULL OR list_contains($facts, found.fact_id))
              AND ($langs IS NULL OR list_contains($langs, lower(lang)))
        GROUP BY search_id, set_id, found.fact_id, relation_id, lang, drop_share
    )
"""
"""The selected knowledge neurons, the search for degenerate sets, and the pairs it found."""


@contextmanager
def selected(path: str | Path, selection: Selection) -> Iterator[Found]:
    """Open the database and resolve the selection.

    Raises:
        NotFound: there is no such fact, relation, language, model, run or search.
        UsageError: several runs or searches match.
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection, reading(connection):
        run_id, search_id = _run_and_search(connection, selection)
        ((model, n_layers, n_neurons),) = connection.execute(
            "SELECT name, n_layers, n_neurons FROM run JOIN model USING (model_id) "
            "WHERE run_id = ?",
            [run_id],
        ).fetchall()
        yield Found(
            connection,
            run_id,
            search_id,
            model,
            n_layers,
            n_neurons,
            _facts(connection, selection),
            _langs(connection, run_id, selection.langs),
        )


def _run_and_search(
    connection: duckdb.DuckDBPyConnection, selection: Selection
) -> tuple[int, int | None]:
    """The run, and its search for degenerate neurons, if any."""
    models = None if selection.model is None else find_model(connection, selection.model)
    if selection.search is None:
        run_id = _one_run(connection, selection.run, models)
        newest = newest_search(connection, run_id)
        return run_id, newest and newest.search_id
    of_run = None if selection.run is None else find_run(connection, str(selection.run), models)
    search = find_search(connection, str(selection.search), of_run, models)
    return search.run_id, search.search_id


def _one_run(
    connection: duckdb.DuckDBPyConnection, run: str | int | None, models: list[int] | None
) -> int:
    if run is not None:
        return find_run(connection, str(run), models)
    runs = newest_runs(connection, models)
    if len(runs) > 1:
        names = connection.execute(
            "SELECT name || ' (run ' || run_id || ')' FROM run JOIN model USING (model_id) "
            "WHERE list_contains(?, run_id) ORDER BY name, run_id",
            [runs],
        ).fetchall()
        raise UsageError(
            f"{len(runs)} runs match, but a graph covers one; choose one by its model's name or "
            f"its id: {', '.join(name for (name,) in names)}."
        )
    return runs[0]


def _langs(
    connection: duckdb.DuckDBPyConnection, run_id: int, asked: Sequence[str]
) -> list[str] | None:
    """The requested languages in lower case; None for all."""
    langs = [lang.strip().lower() for lang in asked]
    if not langs:
        return None
    rows = connection.execute(
        "SELECT DISTINCT lang FROM knowledge_neuron WHERE run_id = ? ORDER BY lang", [run_id]
    ).fetchall()
    known = [lang for (lang,) in rows]
    for lang in langs:
        if lang not in map(str.lower, known):
            raise NotFound(f"The run has no neurons in language {lang!r}.", known)
    return langs


def _facts(connection: duckdb.DuckDBPyConnection, selection: Selection) -> list[int] | None:
    facts = None if selection.fact is None else find_facts(connection, selection.fact)
    if selection.relation is None:
        return facts
    rows = connection.execute(
        "SELECT fact_id FROM fact WHERE relation_id = $relation "
        "AND ($facts IS NULL OR list_contains($facts, fact_id))",
        {"relation": find_relation(connection, selection.relation), "facts": facts},
    ).fetchall()
    return [fact_id for (fact_id,) in rows]


def build_graph(
    path: str | Path, selection: Selection = EVERYTHING, kinds: Collection[Kind] = KINDS
) -> nx.Graph:
    """The graph of a fact, a relation or a whole run.

    >>> build_graph("kndb.duckdb", Selection(fact="P36:Q142")).nodes["neuron 2:117"]["label"]
    ... # doctest: +SKIP
    '2:117'

    Args:
        path: the database.
        selection: which neurons; ``Selection(fact=...)`` gives the graph of one fact.
        kinds: which kinds of node; an edge needs both its ends.

    Returns:
        An undirected ``networkx.Graph`` with the attributes ``model`` and ``run_id``. Neurons
        have ``layer`` and ``index``; facts have ``fact_key``, ``relation``, ``subject`` and
        ``answer``. All attributes are plain numbers and strings, which every file format can
        store.

    Raises:
        NotFound: nothing is selected.
        UsageError: several runs match, or there is no such kind of node.
        DatabaseError: the database cannot be opened.
    """
    if unknown := set(kinds) - set(KINDS):
        raise UsageError(
            f"There is no kind of node {min(unknown)!r}; choose from {', '.join(KINDS)}."
        )
    with selected(path, selection) as found:
        return graph_of(found, kinds)


def graph_of(found: Found, kinds: Collection[Kind] = KINDS) -> nx.Graph:
    """Like ``build_graph``, for a selection that is already resolved."""
    import networkx as nx  # Deferred: saves 0.2 s for commands that need no graph.

    graph = nx.Graph(model=found.model, run_id=str(found.run_id))
    for kind in KINDS:
        if kind in kinds:
            _NODES[kind](graph, found)
    if not graph:
        raise NotFound(
            "The selected facts have no knowledge neurons in this run; choose other facts, or "
            "another run from `kndb runs`."
        )
    for ends, add in _EDGES.items():
        if ends <= set(kinds):
            add(graph, found)
    if {"neuron", "relation"} <= set(kinds) and "fact" not in kinds:
        _add_serves(graph, found)
    return graph


def neuron_node(layer: int, index: int) -> str:
    """The name of a neuron's node.

    >>> neuron_node(2, 117)
    'neuron 2:117'
    """
    return f"neuron {layer}:{index}"


def _add_neurons(graph: nx.Graph, found: Found) -> None:
    for layer, index in found.rows(
        "SELECT DISTINCT layer, neuron FROM chosen UNION SELECT one[1], one[2] FROM pair "
        "UNION SELECT other[1], other[2] FROM pair ORDER BY ALL"
    ):
        node = neuron_node(layer, index)
        graph.add_node(node, kind="neuron", label=f"{layer}:{index}", layer=layer, index=index)


_FACTS = """
    SELECT fact_node, fact_key, relation.label, arg_min(subject, (lang <> 'en', lang)),
           arg_min(answer, (lang <> 'en', lang))
    FROM (SELECT DISTINCT fact_id FROM chosen) JOIN named USING (fact_id)
    JOIN relation USING (relation_id) JOIN prompt USING (fact_id)
    GROUP BY ALL ORDER BY fact_node
"""
_NAMED = """,
    named AS (
        SELECT fact_id, fact_key, relation_id, 'fact ' || fact_key || CASE
            WHEN count(*) OVER (PARTITION BY dataset_id, fact_key) > 1
            THEN ' ' || object_id ELSE '' END AS fact_node
        FROM fact WHERE dataset_id = (SELECT dataset_id FROM run WHERE run_id = $run)
    )
"""
"""A node name for each fact: its key, plus the object where a subject has several."""


def _add_facts(graph: nx.Graph, found: Found) -> None:
    for node, key, relation, subject, answer in found.rows(_NAMED + _FACTS):
        about = {"fact_key": key, "relation": relation, "subject": subject, "answer": answer}
        label = f"{subject} → {answer}" if subject else key
        graph.add_node(node, kind="fact", label=label, **about)


def _add_relations(graph: nx.Graph, found: Found) -> None:
    for relation_id, label in found.rows(
        "SELECT DISTINCT relation_id, label FROM chosen JOIN relation USING (relation_id) "
        "ORDER BY relation_id"
    ):
        graph.add_node(f"relation {relation_id}", kind="relation", label=label)


def _add_languages(graph: nx.Graph, found: Found) -> None:
    for (lang,) in found.rows("SELECT DISTINCT lang FROM chosen ORDER BY lang"):
        graph.add_node(f"language {lang}", kind="language", label=lang)


_NODES = {
    "neuron": _add_neurons,
    "fact": _add_facts,
    "relation": _add_relations,
    "language": _add_languages,
}


def _add_recalls(graph: nx.Graph, found: Found) -> None:
    for fact, layer, index, weight, langs, n_langs in found.rows(
        _NAMED + "SELECT fact_node, layer, neuron, coalesce(avg(score), 1.0), "
        "string_agg(lang, ',' ORDER BY lang), count(*) FROM chosen JOIN named USING (fact_id) "
        "GROUP BY fact_node, layer, neuron ORDER BY fact_node, layer, neuron"
    ):
        about = {"kind": RECALLS, "weight": weight, "langs": langs, "n_langs": n_langs}
        graph.add_edge(fact, neuron_node(layer, index), **about)


def _add_of(graph: nx.Graph, found: Found) -> None:
    for fact, relation_id in found.rows(
        _NAMED + "SELECT DISTINCT fact_node, named.relation_id FROM chosen "
        "JOIN named USING (fact_id) ORDER BY ALL"
    ):
        graph.add_edge(fact, f"relation {relation_id}", kind=OF, weight=1.0)


def _add_serves(graph: nx.Graph, found: Found) -> None:
    for relation_id, layer, index, n_facts in found.rows(
        "SELECT relation_id, layer, neuron, count(DISTINCT fact_id) FROM chosen "
        "GROUP BY ALL ORDER BY ALL"
    ):
        ends = f"relation {relation_id}", neuron_node(layer, index)
        graph.add_edge(*ends, kind=SERVES, weight=float(n_facts))


def _add_used_in(graph: nx.Graph, found: Found) -> None:
    for lang, layer, index, n_facts in found.rows(
        "SELECT lang, layer, neuron, count(*) FROM chosen GROUP BY ALL ORDER BY ALL"
    ):
        ends = f"language {lang}", neuron_node(layer, index)
        graph.add_edge(*ends, kind=USED_IN, weight=float(n_facts))


def _add_degenerate(graph: nx.Graph, found: Found) -> None:
    for one, other, drop, n_facts, langs in found.rows(
        "SELECT one, other, max(drop_share), count(DISTINCT fact_id), "
        "string_agg(DISTINCT lang, ',' ORDER BY lang) FROM pair GROUP BY ALL ORDER BY ALL"
    ):
        about = {"kind": DEGENERATE, "weight": drop, "n_facts": n_facts, "langs": langs}
        graph.add_edge(neuron_node(*_cell(one)), neuron_node(*_cell(other)), **about)


def _cell(pair: Any) -> tuple[int, int]:
    """Layer and index from DuckDB's value of ``(layer, neuron)``."""
    layer, index = pair.values() if isinstance(pair, dict) else pair
    return layer, index


_EDGES = {
    frozenset({"fact", "neuron"}): _add_recalls,
    frozenset({"fact", "relation"}): _add_of,
    frozenset({"neuron", "language"}): _add_used_in,
    frozenset({"neuron"}): _add_degenerate,
}
