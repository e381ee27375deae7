"""A graph in columns: relations, facts, neurons, languages. The same graph, the same drawing.

Edges join nodes of neighbouring columns, so that lines rarely cross names. Where scripts run,
``graph.js`` lets people drag, zoom and filter this drawing; it makes none of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from markupsafe import Markup

from kndb.cells import visible
from kndb_serve.charts.svg import drawing, element, title

if TYPE_CHECKING:
    import networkx as nx

_ROW, _TOP, _SIDE, _GAP, _LONGEST = 21.0, 34.0, 130.0, 260.0, 28
_COLUMNS = ("relation", "fact", "neuron", "language")
_SHAPES = {
    "relation": "M0,-8L8,0L0,8L-8,0Z",
    "fact": "M-6,-6H6V6H-6Z",
    "neuron": "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0Z",
    "language": "M0,-8L7,5H-7Z",
}
"""A shape for each kind of node, so that colour need not tell them apart."""

Place = tuple[float, float]


def network(graph: nx.Graph, focus: str, href: Callable[[str], str | None]) -> Markup:
    """A graph of ``kndb.graph``.

    Args:
        graph: nodes with ``kind`` and ``label``, edges with ``kind`` and ``weight``.
        focus: the node that it is about.
        href: the address of a node's page.
    """
    columns = _columns(graph)
    height = _ROW * max(len(nodes) for nodes in columns.values())
    places = _places(columns, height)
    width = 2 * _SIDE + _GAP * (len(columns) - 1)
    label = f"A graph of {len(graph)} nodes and {graph.number_of_edges()} edges"
    inside = [
        *_heads(columns),
        *_edges(graph, places),
        *_nodes(graph, places, columns, focus, href),
    ]
    all_parts = element("g", Markup("").join(inside), class_="all")
    return drawing(width, _TOP + height + 12, label, [all_parts], role="group", class_="network")


def _columns(graph: nx.Graph) -> dict[str, list[str]]:
    """The nodes of each column from top to bottom: neurons by layer, others near theirs."""
    found = {kind: [n for n, k in graph.nodes(data="kind") if k == kind] for kind in _COLUMNS}
    neurons = {node: at for at, node in enumerate(found["neuron"])}
    middle = {node: _middle(graph, node, neurons) for node in graph}
    for kind in ("fact", "relation", "language"):
        found[kind].sort(key=lambda node: (middle[node], node))
    return {kind: nodes for kind, nodes in found.items() if nodes}


def _middle(graph: nx.Graph, node: str, neurons: dict[str, int]) -> float:
    rows = [neurons[other] for other in graph[node] if other in neurons]
    return sum(rows) / len(rows) if rows else 0.0


def _places(columns: dict[str, list[str]], height: float) -> dict[str, Place]:
    places = {}
    for column, nodes in enumerate(columns.values()):
        for row, node in enumerate(nodes):
            y = _TOP + height * (row + 0.5) / len(nodes)
            places[node] = (_SIDE + column * _GAP, y)
    return places


def _heads(columns: dict[str, list[str]]) -> Iterator[Markup]:
    names = {"relation": "relations", "fact": "facts", "neuron": "neurons", "language": "languages"}
    for column, kind in enumerate(columns):
        x = _SIDE + column * _GAP
        yield element("text", names[kind], x=x, y=16, class_="tick middle head")


def _edges(graph: nx.Graph, places: dict[str, Place]) -> Iterator[Markup]:
    highest: dict[str, float] = {}
    for _, _, about in graph.edges(data=True):
        highest[about["kind"]] = max(highest.get(about["kind"], 0.0), abs(about["weight"]))
    for a, b, about in graph.edges(data=True):
        share = abs(about["weight"]) / (highest[about["kind"]] or 1.0)
        (x1, y1), (x2, y2) = places[a], places[b]
        # Within a column, the line bends aside so as not to run through the nodes between.
        bend = 40 + abs(y2 - y1) / 6 if x1 == x2 else 0
        middle = f"{(x1 + x2) / 2 + bend:.1f},{(y1 + y2) / 2:.1f}"
        told = f"{_name(graph, a)} – {_name(graph, b)}: {about['kind']}, {about['weight']:.3g}"
        yield element(
            "path",
            title(told),
            d=f"M{x1:.1f},{y1:.1f}Q{middle} {x2:.1f},{y2:.1f}",
            class_=f"edge {about['kind'].replace(' ', '-')}",
            data_a=a,
            data_b=b,
            data_bend=round(bend, 1),
            data_share=round(share, 3),
            stroke_width=round(0.6 + 2.6 * share, 2),
        )


def _nodes(
    graph: nx.Graph,
    places: dict[str, Place],
    columns: dict[str, list[str]],
    focus: str,
    href: Callable[[str], str | None],
) -> Iterator[Markup]:
    first = next(iter(columns))
    for kind, nodes in columns.items():
        side = "left" if kind in (first, "fact") else "right"
        for node in nodes:
            name = _name(graph, node)
            x, y = places[node]
            at = {"left": -13, "right": 13}[side]
            shape = element("path", d=_SHAPES[kind])
            text = element(
                "text", shortened(name), x=at, y=4, class_="end" if side == "left" else ""
            )
            inside = element("title", f"{kind} {name}") + shape + text
            yield element(
                "a",
                inside,
                href=href(node) or "#",
                class_=f"node {kind}{' focus' if node == focus else ''}",
                data_node=node,
                data_kind=kind,
                transform=f"translate({x:.1f},{y:.1f})",
            )


def _name(graph: nx.Graph, node: str) -> str:
    return visible(str(graph.nodes[node]["label"]))


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text of up to this many columns; Chinese and the like take two a character.

    >>> shortened("Equatorial Guinea", 12), shortened("赤道几内亚共和国", 9)
    ('Equatorial…', '赤道几内…')
    """
    used = 0
    for at, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > longest:
            kept = text[:at]
            while sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in kept) >= longest:
                kept = kept[:-1]
            return kept.rstrip() + "…"
    return text
