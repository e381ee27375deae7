"""The map of a model's knowledge neurons in cells: layers from bottom to top."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from kndb.plain import counted
from kndb.store.result import Result
from kndb.store.runs import StoredRun
from kndb_serve.asked import address
from kndb_serve.charts.svg import drawing, element, title

MOST_CELLS, FEWEST_OF_A_LAYER, MOST_OF_A_LAYER = 1_200, 16, 96
"""Cells of a map, so that a page stays small, and of one layer."""

_LEFT, _TOP, _WIDE = 44, 8, 960


def cells_of_a_layer(run: StoredRun) -> int:
    """How many cells each layer of a run's map has."""
    fitting = max(FEWEST_OF_A_LAYER, MOST_CELLS // run.n_layers)
    return min(MOST_OF_A_LAYER, fitting, run.n_neurons)


def neuron_map(cells: Result, run: StoredRun, colour: str, asked_run: str | None = None) -> Markup:
    """Rows of ``Database.neuron_cells`` as cells, each a link to its neuron of the most facts.

    Args:
        cells: ``layer, cell, n_neurons, n_facts, n_relations, neuron``.
        run: whose neurons they are.
        colour: the column that makes cells dark, on a scale of logarithms.
        asked_run: the run that links name.
    """
    high = min(30, max(10, 300 // run.n_layers))
    label = f"Knowledge neurons of {run.model} in {run.n_layers} layers"
    parts = _parts(cells.to_dicts(), run, colour, asked_run, high)
    return drawing(_LEFT + _WIDE + 4, _TOP + high * run.n_layers + 54, label, parts, role="group")


def _parts(
    rows: list[dict[str, Any]], run: StoredRun, colour: str, asked_run: str | None, high: int
) -> Iterator[Markup]:
    base = _TOP + high * run.n_layers
    wide = _WIDE / cells_of_a_layer(run)
    yield element("rect", x=_LEFT, y=_TOP, width=_WIDE, height=base - _TOP, class_="empty")
    for layer in range(0, run.n_layers, max(1, -(-run.n_layers // 24))):
        y = base - (layer + 0.5) * high + 4
        yield element("text", str(layer), x=_LEFT - 8, y=y, class_="tick end")
    most = max((row[colour] for row in rows), default=1)
    for row in rows:
        name = f"{row['layer']}:{row['neuron']}"
        told = ", ".join(
            counted(row[f"n_{noun}s"], noun) for noun in ("neuron", "fact", "relation")
        )
        cell = element(
            "rect",
            title(f"by {name}: {told}"),
            x=round(_LEFT + row["cell"] * wide, 1),
            y=base - (row["layer"] + 1) * high,
            width=round(wide - 1, 1),
            height=high - 1,
            fill_opacity=_opacity(row[colour], most),
        )
        yield element("a", cell, href=address("neuron", name, {"run": asked_run}), tabindex=-1)
    yield element("text", "neuron 0", x=_LEFT, y=base + 18, class_="tick")
    last = f"{run.n_neurons - 1:,}"
    yield element("text", last, x=_LEFT + _WIDE, y=base + 18, class_="tick end")
    yield from _key(most, base + 34)


def _key(most: int, y: float) -> Iterator[Markup]:
    """What the shades stand for."""
    shades = sorted({1, *(round(most ** (step / 4)) for step in range(1, 5))})
    for place, count in enumerate(shades):
        x = _LEFT + place * 64
        shade = _opacity(count, most)
        yield element("rect", x=x, y=y, width=14, height=14, class_="heat", fill_opacity=shade)
        yield element("text", f"{count:,}", x=x + 20, y=y + 11, class_="tick")


def _opacity(count: int, most: int) -> float:
    return round(0.08 + 0.92 * math.log1p(count) / math.log1p(max(most, 1)), 2)
