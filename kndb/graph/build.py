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

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from kndb.errors import NotFound, UsageError
from kndb.graph.selection import EVERYTHING, Selected, Selection, selected

if TYPE_CHECKING:
    import networkx as nx

NodeKind = Literal["neuron", "fact", "relation", "language"]
KINDS: tuple[NodeKind, ...] = get_args(NodeKind)

RECALLS, OF, SERVES, USED_IN, DEGENERATE = "recalls", "of", "serves", "used in", "degenerate"


def build_graph(
    path: str | Path, selection: Selection = EVERYTHING, kinds: Collection[NodeKind] = KINDS
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


def graph_of(found: Selected, kinds: Collection[NodeKind] = KINDS) -> nx.Graph:
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


def _add_neurons(graph: nx.Graph, found: Selected) -> None:
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


def _add_facts(graph: nx.Graph, found: Selected) -> None:
    for node, key, relation, subject, answer in found.rows(_NAMED + _FACTS):
        about = {"fact_key": key, "relation": relation, "subject": subject, "answer": answer}
        label = f"{subject} → {answer}" if subject else key
        graph.add_node(node, kind="fact", label=label, **about)


def _add_relations(graph: nx.Graph, found: Selected) -> None:
    for relation_id, label in found.rows(
        "SELECT DISTINCT relation_id, label FROM chosen JOIN relation USING (relation_id) "
        "ORDER BY relation_id"
    ):
        graph.add_node(f"relation {relation_id}", kind="relation", label=label)


def _add_languages(graph: nx.Graph, found: Selected) -> None:
    for (lang,) in found.rows("SELECT DISTINCT lang FROM chosen ORDER BY lang"):
        graph.add_node(f"language {lang}", kind="language", label=lang)


_NODES = {
    "neuron": _add_neurons,
    "fact": _add_facts,
    "relation": _add_relations,
    "language": _add_languages,
}


def _add_recalls(graph: nx.Graph, found: Selected) -> None:
    for fact, layer, index, weight, langs, n_langs in found.rows(
        _NAMED + "SELECT fact_node, layer, neuron, coalesce(avg(score), 1.0), "
        "string_agg(lang, ',' ORDER BY lang), count(*) FROM chosen JOIN named USING (fact_id) "
        "GROUP BY fact_node, layer, neuron ORDER BY fact_node, layer, neuron"
    ):
        about = {"kind": RECALLS, "weight": weight, "langs": langs, "n_langs": n_langs}
        graph.add_edge(fact, neuron_node(layer, index), **about)


def _add_of(graph: nx.Graph, found: Selected) -> None:
    for fact, relation_id in found.rows(
        _NAMED + "SELECT DISTINCT fact_node, named.relation_id FROM chosen "
        "JOIN named USING (fact_id) ORDER BY ALL"
    ):
        graph.add_edge(fact, f"relation {relation_id}", kind=OF, weight=1.0)


def _add_serves(graph: nx.Graph, found: Selected) -> None:
    for relation_id, layer, index, n_facts in found.rows(
        "SELECT relation_id, layer, neuron, count(DISTINCT fact_id) FROM chosen "
        "GROUP BY ALL ORDER BY ALL"
    ):
        ends = f"relation {relation_id}", neuron_node(layer, index)
        graph.add_edge(*ends, kind=SERVES, weight=float(n_facts))


def _add_used_in(graph: nx.Graph, found: Selected) -> None:
    for lang, layer, index, n_facts in found.rows(
        "SELECT lang, layer, neuron, count(*) FROM chosen GROUP BY ALL ORDER BY ALL"
    ):
        ends = f"language {lang}", neuron_node(layer, index)
        graph.add_edge(*ends, kind=USED_IN, weight=float(n_facts))


def _add_degenerate(graph: nx.Graph, found: Selected) -> None:
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
