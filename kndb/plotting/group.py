"""Draws a degenerate group: its neurons, and the pairs that stand in for each other.

This module owns the layout, labels and legend. The pairs come from a stored search, as in
``kndb.graph.groups``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kndb.errors import NotFound
from kndb.graph.groups import no_pairs
from kndb.graph.selection import Selected
from kndb.plain import counted
from kndb.plotting.fonts import drawable, language_label
from kndb.plotting.style import PALETTE, heading, legend, ordered_colours, theme

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST = 60  # more neurons are indistinguishable in one picture
_EDGE = "#999999"
_RADIUS = 10.0  # of a neuron, in points
_STEPS = 300  # of the layout; groups of 60 neurons converge sooner


def draw_group(figure: Figure, found: Selected) -> None:
    """Draw the largest group within one fact and language.

    Raises:
        NotFound: there are no pairs, or every group is too large to draw.
    """
    graph, about = _largest_group(found)
    scale = max(1.0, (len(graph) / 15) ** 0.5)  # keeps labels apart
    figure.set_size_inches(8 * scale, 6 * scale)
    axes = figure.subplots()
    heading(axes, "A degenerate group", about)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    axes.set_axis_off()
    place = _layout(graph)
    _draw_pairs(axes, graph, place)
    layers = sorted({layer for layer, _ in graph})
    colours = dict(zip(layers, ordered_colours(len(layers), len(PALETTE) - 1), strict=True))
    for (layer, index), (x, y) in place.items():
        axes.plot(
            x,
            y,
            "o",
            ms=2 * _RADIUS,
            color=colours[layer],
            mec=theme().background,
            mew=1.5,
            zorder=2,
        )
        _label(axes, f"{layer}:{index}", place, (layer, index), graph)
    _legend(axes, colours, graph, _drop_name(found))


_GROUPED = """
    SELECT fact_key, relation.label, pair.lang, one[1], one[2], other[1], other[2], drop_share,
           arg_min(subject || ' → ' || answer, (prompt.lang <> pair.lang, prompt.lang)),
           arg_min(subject || ' → ' || answer, (prompt.lang <> 'en', prompt.lang))
    FROM pair JOIN fact USING (fact_id)
    JOIN relation ON relation.relation_id = fact.relation_id
    JOIN prompt ON prompt.fact_id = pair.fact_id
    GROUP BY ALL ORDER BY ALL
"""


def _largest_group(found: Selected) -> tuple[nx.Graph, str]:
    """The largest group within one fact and language, as a graph, and its subtitle."""
    import networkx as nx  # Deferred: saves 0.2 s for commands that need no graph.

    graphs: dict[tuple[str, ...], nx.Graph] = {}
    for key, relation, lang, *ends, drop, own, english in found.rows(_GROUPED):
        graph = graphs.setdefault((key, relation, lang, own, english), nx.Graph())
        graph.add_edge(tuple(ends[:2]), tuple(ends[2:]), weight=drop)
    if not graphs:
        raise no_pairs(found)
    groups = [
        (graph.subgraph(sorted(nodes)), owner)
        for owner, graph in graphs.items()
        for nodes in nx.connected_components(graph)
        if len(nodes) <= _LARGEST
    ]
    if not groups:
        raise NotFound(
            f"Every group has more than {_LARGEST} neurons, too many for a picture; choose another "
            "fact, or export the graph with `kndb graph export`."
        )
    group, (key, relation, lang, own, english) = max(groups, key=lambda each: len(each[0]))
    said = drawable(own, drawable(english, key))
    pairs = group.number_of_edges()
    size = f"{counted(len(group), 'neuron')}, {counted(pairs, 'pair')}"
    what = drawable(relation, "one relation")
    return group, f"{found.model} · {what} · {said} · {language_label(lang)} · {size}"


def _layout(graph: nx.Graph) -> dict[Any, Any]:
    """Positions ``(x, y)`` whose distances approximate the path lengths between neurons.

    Stress majorization (Gansner, Koren and North 2004), starting from a circle. networkx's own
    version needs SciPy.
    """
    import networkx as nx

    nodes = list(graph)
    steps = dict(nx.all_pairs_shortest_path_length(graph))
    ideal = np.array([[steps[a][b] for b in nodes] for a in nodes], dtype=float)
    weights = np.maximum(ideal, 1.0) ** -2
    np.fill_diagonal(weights, 0.0)
    inverse = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights)
    around = 2 * np.pi * np.arange(len(nodes)) / len(nodes)
    # Unequal radii: on a circle, two neurons with the same partners could end up on one spot.
    radii = 1 + 0.1 * np.arange(len(nodes))[:, None] / len(nodes)
    places = radii * np.stack([np.cos(around), np.sin(around)], axis=1)
    for _ in range(_STEPS):
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
        pull = weights * ideal / np.maximum(apart, 1e-9)
        places = inverse @ ((np.diag(pull.sum(axis=1)) - pull) @ places)
    return dict(zip(nodes, places, strict=True))


def _draw_pairs(axes: Axes, graph: nx.Graph, place: dict[Any, Any]) -> None:
    drops = [drop for _, _, drop in graph.edges(data="weight")]
    for a, b, drop in graph.edges(data="weight"):
        (x, y), (u, v) = place[a], place[b]
        axes.plot([x, u], [y, v], color=_EDGE, alpha=0.7, lw=_width(drop, drops), zorder=1)


def _width(drop: float, drops: list[float]) -> float:
    """The width of an edge in points: 1.5 for the smallest drop, 6 for the largest."""
    spread = max(drops) - min(drops)
    return 1.5 + 4.5 * ((drop - min(drops)) / spread if spread else 0.5)


def _label(axes: Axes, text: str, place: dict[Any, Any], node: Any, graph: nx.Graph) -> None:
    """Write a neuron's name beside it, in a wide gap between its edges and on no other neuron."""
    half = np.array([2.9 * len(text), 4.5])  # of 9 point digits
    edges = np.array([place[other] - place[node] for other in graph[node]])
    angles = np.sort(np.arctan2(edges[:, 1], edges[:, 0]))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    figure = axes.get_figure(root=True)
    assert figure is not None  # the axes are in one
    scale = _points_per_unit(figure.get_size_inches(), place)
    others = np.array([scale * (place[one] - place[node]) for one in place if one != node])
    tries = []
    for angle, gap in zip(angles, gaps, strict=True):
        for part in (0.5, 0.3, 0.7):
            towards = np.array([np.cos(angle + part * gap), np.sin(angle + part * gap)])
            at = towards * (_RADIUS + 3 + half)
            beside = np.linalg.norm(np.maximum(abs(others - at) - half, 0), axis=1)
            tries.append((int((beside < _RADIUS + 2).sum()), -gap * min(part, 1 - part), at))
    _, _, at = min(tries, key=lambda one: one[:2])
    axes.annotate(
        text,
        place[node],
        xytext=tuple(at),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=9,
        bbox={"boxstyle": "round,pad=0.1", "fc": theme().background, "ec": "none", "alpha": 0.75},
        zorder=3,
    )


_USED = 0.7
"""About the share of the figure's width and height that the neurons span, beside the legend."""


def _points_per_unit(inches: Any, place: dict[Any, Any]) -> float:
    """About how many points are between two neurons that are one apart in the layout."""
    spans = np.ptp(np.array(list(place.values())), axis=0)
    return float(np.min(72 * _USED * inches / np.maximum(spans, 1e-9)))


def _drop_name(found: Selected) -> str:
    """The format of a drop in the legend: relative or absolute, as in the search's settings."""
    ((drop,),) = found.rows("SELECT json_extract_string(settings, 'drop') FROM searched")
    return "together p −{:.2g}" if drop == "absolute" else "together −{:.0%} of p"


def _legend(axes: Axes, colours: dict[int, Any], graph: nx.Graph, drop_name: str) -> None:
    from matplotlib.lines import Line2D

    drops = [drop for _, _, drop in graph.edges(data="weight")]
    handles = [
        Line2D([], [], marker="o", ls="", color=colour, ms=10, label=f"layer {layer}")
        for layer, colour in colours.items()
    ]
    for drop in sorted({min(drops), max(drops)}):
        width = _width(drop, drops)
        name = drop_name.format(drop)
        handles.append(Line2D([], [], color=_EDGE, alpha=0.7, lw=width, label=name))
    legend(axes, handles, labelspacing=1)
