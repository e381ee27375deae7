"""The graph around a fact, a relation or a neuron."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

from kndb.errors import NotFound
from kndb.graph.export import write_graph_into
from kndb.graph.neighbourhood import around_fact, around_neuron, around_relation
from kndb.neurons import Neuron
from kndb.store.result import Result
from kndb_serve.charts.network import network
from kndb_serve.page import Chart, Form, Page, Part, Table
from kndb_serve.view import View

if TYPE_CHECKING:
    import networkx as nx

_SUBJECTS = ("fact", "relation", "neuron")
_LEAD = (
    "Squares are facts, circles neurons, diamonds relations, triangles languages; thick lines are "
    "strong ones."
)


def graph(view: View) -> Page:
    """The neighbourhood of what is asked for; without that, the relations that have one.

    Raises:
        NotFound: there is no such thing, or it has no neurons in the run.
    """
    of = next((name for name in _SUBJECTS if view.asked.text(name)), None)
    if of is None:
        relations = view.remember("relations", view.db.relations)
        table = Table(
            "relations",
            "Relations",
            relations,
            link=lambda row: view.link("graph", relation=row["relation_id"]),
        )
        return Page(
            "Graph", "graph", [table], "Facts and neurons have theirs, too; see their pages."
        )
    key = view.asked.text(of) or ""
    run = view.run.run_id
    found, focus = view.remember(("graph", of, key, run), lambda: _around(view, of, key))
    name = str(found.nodes[focus]["label"]) if focus in found else key
    parts: list[Part] = [
        Form([view.run_choice()]),
        Chart(
            "Drawing", partial(network, found, focus, partial(_href, view)), _about(found), "edges"
        ),
        Table("edges", "Edges", _edges(found), bars=("weight",)),
        Table("nodes", "Nodes", _nodes(found), folded=True),
    ]
    return Page(
        name,
        f"graph of a {of}",
        parts,
        _LEAD,
        {"nodes": len(found), "edges": found.number_of_edges(), "model": view.run.model},
        scripts=("vendor/d3.js", "graph.js"),
        graph=partial(_graphml, found),
    )


def _around(view: View, of: str, key: str) -> tuple[nx.Graph, str]:
    path, run = view.db.path, view.run.run_id
    if of == "neuron":
        neuron = Neuron.parse(key)
        rows = view.db.query(neuron=str(neuron), run=run).to_dicts()
        rows.sort(key=lambda row: -(row["score"] or 0.0))
        facts = list(dict.fromkeys(row["fact_key"] for row in rows))
        return around_neuron(path, neuron, facts, run), f"neuron {neuron}"
    found = (around_fact if of == "fact" else around_relation)(path, key, run)
    nodes = [node for node, kind in found.nodes(data="kind") if kind == of]
    if len(nodes) != 1:
        raise NotFound(f"{len(nodes)} facts are meant by {key!r:.40}; give a key.", nodes[:10])
    return found, nodes[0]


def _about(found: nx.Graph) -> str:
    left = found.graph["left_out"]
    return f"{left:,} weaker neurons are left out." if left else ""


def _href(view: View, node: str) -> str:
    kind, _, key = node.partition(" ")
    return view.link(kind, key)


def _edges(found: nx.Graph) -> Result:
    label = found.nodes
    rows = [
        (label[a]["label"], about["kind"], label[b]["label"], about["weight"], about.get("langs"))
        for a, b, about in found.edges(data=True)
    ]
    rows.sort(key=lambda row: (row[1], -row[3]))
    kinds = ("VARCHAR", "VARCHAR", "VARCHAR", "DOUBLE", "VARCHAR")
    return Result(("from", "kind", "to", "weight", "langs"), kinds, rows)


def _nodes(found: nx.Graph) -> Result:
    rows = [
        (node, about["kind"], about["label"], len(found[node]))
        for node, about in found.nodes(data=True)
    ]
    kinds = ("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT")
    return Result(("node", "kind", "label", "edges"), kinds, rows)


def _graphml(found: nx.Graph) -> bytes:
    stream = io.BytesIO()
    write_graph_into(stream, found, "graphml")
    return stream.getvalue()
