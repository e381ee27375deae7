"""The graph around one fact, relation or neuron, small enough to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kndb.graph.build import DEGENERATE, build_graph, neuron_node
from kndb.graph.selection import Selection
from kndb.neurons import Neuron

if TYPE_CHECKING:
    import networkx as nx

MOST_NEURONS = 36
"""Neurons of a neighbourhood."""

MOST_FACTS = 18
"""Facts around a neuron."""


def around_fact(path: str | Path, fact: str, run: str | int) -> nx.Graph:
    """A fact, its relation, and its neurons with their languages; the neurons of highest score.

    Raises:
        NotFound: there is no such fact, or it has no neurons in the run.
    """
    graph = build_graph(path, Selection(fact=fact, run=run))
    return _trimmed(graph, lambda node: _strength(graph, node, "fact"))


def around_relation(path: str | Path, relation: str, run: str | int) -> nx.Graph:
    """A relation and the neurons of most of its facts, with their languages.

    Raises:
        NotFound: there is no such relation, or it has no neurons in the run.
    """
    selection = Selection(relation=relation, run=run)
    graph = build_graph(path, selection, ("neuron", "relation", "language"))
    return _trimmed(graph, lambda node: _strength(graph, node, "relation"))


def around_neuron(path: str | Path, neuron: Neuron, facts: list[str], run: str | int) -> nx.Graph:
    """A neuron, its facts, and the neurons that most of these facts share with it.

    Args:
        path: the database.
        neuron: the neuron.
        facts: keys of its facts, the most important first; up to ``MOST_FACTS`` are taken.
        run: a run's id.

    Raises:
        NotFound: the facts have no neurons in the run.
    """
    graph = build_graph(path, Selection(fact=facts[:MOST_FACTS], run=run))
    own = neuron_node(neuron.layer, neuron.index)

    def rank(node: str) -> float:
        if node == own:
            return float("inf")
        partner = graph.has_edge(own, node) and graph.edges[own, node]["kind"] == DEGENERATE
        facts = [other for other in graph[node] if graph.nodes[other]["kind"] == "fact"]
        return len(facts) + 1_000.0 * bool(partner)

    return _trimmed(graph, rank)


def _strength(graph: nx.Graph, node: str, kind: str) -> float:
    """The weight of a node's edges to nodes of a kind."""
    edges = graph[node].items()
    weights = [about["weight"] for other, about in edges if graph.nodes[other]["kind"] == kind]
    return float(sum(weights))


def _trimmed(graph: nx.Graph, rank: Callable[[str], float]) -> nx.Graph:
    """The graph without the neurons of low rank; its attribute ``left_out`` counts them."""
    neurons = [node for node, kind in graph.nodes(data="kind") if kind == "neuron"]
    ranked = sorted(neurons, key=rank, reverse=True)  # stable: ties by layer and index
    graph.remove_nodes_from(ranked[MOST_NEURONS:])
    graph.graph["left_out"] = max(0, len(neurons) - MOST_NEURONS)
    alone = [node for node in graph if not graph[node]]
    graph.remove_nodes_from(alone if len(alone) < len(graph) else [])
    return graph
