"""Measures of neurons in the graph of a run: degree, bridging, betweenness, communities.

networkx does the computing, so an installed and preferred networkx backend is used. This module
builds no graphs and stores nothing.

Time grows linearly with the number of edges: Louvain makes a few passes, and betweenness uses
only as many source nodes as keep the edges crossed below five million. A run with 300,000 edges
takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kndb.graph.build import graph_of, neuron_node
from kndb.graph.selection import EVERYTHING, Selected, Selection, selected
from kndb.store.knowledge import check_top
from kndb.store.result import Result
from kndb.store.runs import with_models

if TYPE_CHECKING:
    import networkx as nx

_COLUMNS = {
    "neuron": "VARCHAR",
    "n_facts": "BIGINT",
    "n_relations": "BIGINT",
    "n_langs": "BIGINT",
    "score_sum": "DOUBLE",
    "n_degenerate": "BIGINT",
    "bridges_relations": "DOUBLE",
    "bridges_langs": "DOUBLE",
    "betweenness": "DOUBLE",
    "community": "BIGINT",
    "model": "VARCHAR",
    "run_id": "BIGINT",
}

_MANY_EDGES = 50_000
"""In larger graphs, facts are merged into their relations before communities are detected."""

_SOURCES = 100
"""Most source nodes from which betweenness is estimated (Brandes and Pich 2007)."""

_CROSSED = 5_000_000
"""Most edges that the shortest-path searches may cross: about 7 s in pure Python."""

_SEED = 0


def measures(path: str | Path, selection: Selection = EVERYTHING, top: int | None = None) -> Result:
    """How each knowledge neuron of a fact, a relation or a run is connected.

    Args:
        path: the database.
        selection: which neurons.
        top: at most this many neurons.

    Returns:
        Rows, the highest ``n_facts`` first. ``n_facts`` (the degree), ``n_relations`` and
        ``n_langs`` count what the neuron is a knowledge neuron of; ``score_sum`` is the sum over
        facts and languages; ``n_degenerate`` counts the neurons it forms a degenerate pair with.
        ``bridges_relations`` and ``bridges_langs`` measure how evenly its facts are spread over
        relations or languages: ``1 - sum(share ** 2)``, 0 for a single one (the participation
        coefficient of Guimerà and Amaral 2005). ``betweenness`` is the share of shortest paths
        through the neuron; ``community`` is the number of its Louvain community, counted from the
        largest. Both are computed in the graph of neurons and facts or, with more than 50,000
        edges and several relations, of neurons and relations. Betweenness is exact in graphs of
        at most 100 nodes and otherwise estimated from 100 source nodes, or fewer in graphs of
        more than 50,000 edges.

    Raises:
        NotFound: nothing is selected.
        UsageError: several runs match, or ``top`` is below 1.
        DatabaseError: the database cannot be opened.
    """
    check_top(top)
    with selected(path, selection) as found:
        graph = _structure(found)
        between, community = _betweenness(graph), _communities(graph)
        relations = _participation(found, "relation_id")
        langs = _participation(found, "lang")
        partners = _partners(found)
        rows = [
            (
                f"{layer}:{index}",
                *counts,
                partners.get((layer, index), 0),
                relations[layer, index],
                langs[layer, index],
                between[neuron_node(layer, index)],
                community[neuron_node(layer, index)],
                found.model,
                found.run_id,
            )
            for layer, index, *counts in found.rows(_COUNTS)
        ]
        listed = Result(tuple(_COLUMNS), tuple(_COLUMNS.values()), rows[:top])
        return with_models(found.connection, listed)


_COUNTS = """
    SELECT layer, neuron, count(DISTINCT fact_id) AS n_facts, count(DISTINCT relation_id),
           count(DISTINCT lang), sum(score) AS score_sum
    FROM chosen GROUP BY layer, neuron ORDER BY n_facts DESC, layer, neuron
"""


def _structure(found: Selected) -> nx.Graph:
    ((edges, relations),) = found.rows(
        "SELECT count(*), count(DISTINCT relation_id) FROM "
        "(SELECT DISTINCT fact_id, relation_id, layer, neuron FROM chosen)"
    )
    # Merged into a single relation, every graph would be the same star.
    summed_up = edges > _MANY_EDGES and relations > 1
    return graph_of(found, ("neuron", "relation" if summed_up else "fact"))


def _betweenness(graph: nx.Graph) -> dict[str, float]:
    import networkx as nx  # Deferred: saves 0.2 s for commands that need no graph.

    affordable = max(1, _CROSSED // max(1, graph.number_of_edges()))
    sources = min(_SOURCES, affordable, len(graph))
    found: dict[str, float] = nx.betweenness_centrality(graph, k=sources, seed=_SEED)
    return found


def _communities(graph: nx.Graph) -> dict[str, int]:
    """For each node, the number of its community; 1 is the largest."""
    import networkx as nx

    found = nx.community.louvain_communities(graph, weight="weight", seed=_SEED)
    ordered = sorted(found, key=lambda nodes: (-len(nodes), min(nodes)))
    return {node: number for number, nodes in enumerate(ordered, start=1) for node in nodes}


def _participation(found: Selected, of: str) -> dict[tuple[int, int], float]:
    rows: list[tuple[Any, ...]] = found.rows(
        f"SELECT layer, neuron, 1 - sum(n * n) / (sum(n) * sum(n)) FROM "
        f"(SELECT layer, neuron, {of}, count(*) AS n FROM chosen GROUP BY ALL) GROUP BY ALL"
    )
    return {(layer, index): value for layer, index, value in rows}


def _partners(found: Selected) -> dict[tuple[int, int], int]:
    rows = found.rows(
        "SELECT a[1], a[2], count(DISTINCT b) FROM "
        "(SELECT one AS a, other AS b FROM pair UNION SELECT other, one FROM pair) GROUP BY ALL"
    )
    return {(layer, index): n for layer, index, n in rows}
