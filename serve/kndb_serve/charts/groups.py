"""Degenerate groups: neurons on a circle, a line for each pair that stands in for each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from kndb.neurons import Neuron
from kndb.plain import counted
from kndb.store.result import Result
from kndb_serve.asked import address
from kndb_serve.charts.svg import drawing, element, title

MOST_GROUPS, MOST_NEURONS = 6, 60
"""Groups of a drawing, and neurons of one of them; more could not be told apart."""

_WIDE, _GAP = 560, 14
_APART = 46.0
"""Between neighbours on a circle."""
_LABEL, _HEAD = 58.0, 26.0
"""Room for a label beside the circle, and for the heading of a box."""

Row = dict[str, Any]
Pairs = Mapping[frozenset[str], list[Row]]


def drawable(groups: Result) -> list[Row]:
    """The groups of ``Database.groups`` by fact that a drawing shows, the largest first."""
    return [row for row in groups.to_dicts() if row["size"] <= MOST_NEURONS][:MOST_GROUPS]


def group_drawing(
    groups: list[Row], sets: Result, keep: Mapping[str, str | None], marked: str = ""
) -> Markup:
    """A box for each group, with its neurons and pairs.

    Args:
        groups: from ``drawable``.
        sets: rows of ``Database.degenerate`` about their facts.
        keep: parameters of the links to neurons.
        marked: a neuron to set off, as ``2:117``.
    """
    parts: list[Markup] = []
    x = y = tall = widest = 0.0
    for group in groups:
        pairs = _pairs(sets, group["fact_key"])
        width, height, radius = _size(group["size"])
        if x and x + width > _WIDE:
            x, y, tall = 0.0, y + tall + _GAP, 0.0
        inside = Markup("").join(_group(group, pairs, keep, marked, width, height, radius))
        parts.append(element("g", inside, transform=f"translate({x:.0f} {y:.0f})"))
        x, tall = x + width + _GAP, max(tall, height)
        widest = max(widest, x - _GAP)
    n_neurons = sum(group["size"] for group in groups)
    label = f"{counted(len(groups), 'degenerate group')} of {counted(n_neurons, 'neuron')}"
    return drawing(widest, y + tall, label, parts)


def _pairs(sets: Result, fact_key: str) -> Pairs:
    """The sets of two neurons of a fact, in any language, by their neurons."""
    pairs: dict[frozenset[str], list[Row]] = {}
    for row in sets.to_dicts():
        if row["size"] == 2 and row["fact_key"] == fact_key:
            pairs.setdefault(frozenset(row["neurons"].split(",")), []).append(row)
    return pairs


def _size(n_neurons: int) -> tuple[float, float, float]:
    """Width, height and radius of the box of so many neurons."""
    radius = max(34.0, n_neurons * _APART / (2 * math.pi))
    return 2 * (radius + _LABEL), 2 * radius + _LABEL + _HEAD, radius


def _group(
    group: Row,
    pairs: Pairs,
    keep: Mapping[str, str | None],
    marked: str,
    width: float,
    height: float,
    radius: float,
) -> Iterator[Markup]:
    neurons = sorted(group["neurons"].split(","), key=Neuron.parse)
    middle = width / 2, _HEAD + (height - _HEAD) / 2
    turns = {name: 2 * math.pi * at / len(neurons) for at, name in enumerate(neurons)}
    places = {
        name: (middle[0] - radius * math.cos(turn), middle[1] - radius * math.sin(turn))
        for name, turn in turns.items()
    }
    yield element("rect", x=0, y=0, width=width, height=height, rx=12, class_="box")
    size, n_pairs = counted(group["size"], "neuron"), counted(group["n_pairs"], "pair")
    head = f"{group['fact_key']}: {size}, {n_pairs}"
    yield element("text", head, x=12, y=18, class_="tick")
    for ends, rows in pairs.items():
        if ends <= places.keys():
            one, other = sorted(ends)
            yield _line(places[one], places[other], rows)
    for name, (x, y) in places.items():
        side = round(math.cos(turns[name]), 6)
        dot = element("circle", cx=x, cy=y, r=6, class_="node marked" if name == marked else "node")
        label = element(
            "text",
            name,
            x=x - 11 * side,
            y=y + 4 - 16 * math.sin(turns[name]),
            class_="middle" if abs(side) < 0.3 else "end" if side > 0 else "start",
        )
        yield element("a", dot + label, href=address("neuron", name, keep), tabindex=-1)


def _line(one: tuple[float, float], other: tuple[float, float], rows: list[Row]) -> Markup:
    """The line of a pair; wider where the answer drops further without both."""
    told = "; ".join(f"{row['lang']}: drop {row['drop_share']:.2f}" for row in rows)
    drop = max(row["drop_share"] for row in rows)
    return element(
        "line",
        title(f"{rows[0]['neurons']}, {told}"),
        x1=one[0],
        y1=one[1],
        x2=other[0],
        y2=other[1],
        class_="pair",
        stroke_width=round(1 + 4 * min(max(drop, 0.0), 1.0), 1),
    )
