"""The map of a model's knowledge neurons in squares: layers from bottom to top."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from kndb.store.result import Result
from kndb.store.runs import StoredRun
from kndb_serve.asked import address
from kndb_serve.charts.svg import drawing, element, title

MAP_CELLS = 96
"""Squares of a layer."""

_LEFT, _TOP, _STEP = 44, 8, 10


def neuron_map(cells: Result, run: StoredRun, colour: str, asked_run: str | None = None) -> Markup:
    """Rows of ``Database.neuron_cells`` as squares, each a link to its neuron of the most facts.

    Args:
        cells: ``layer, cell, n_neurons, n_facts, n_relations, neuron``.
        run: whose neurons they are.
        colour: the column that makes squares dark, on a scale of logarithms.
        asked_run: the run that links name.
    """
    height = _TOP + _STEP * run.n_layers + 34
    label = f"Knowledge neurons of {run.model} in {run.n_layers} layers"
    parts = _parts(cells.to_dicts(), run, colour, asked_run)
    return drawing(_LEFT + _STEP * MAP_CELLS + 4, height, label, parts)


def _parts(
    rows: list[dict[str, Any]], run: StoredRun, colour: str, asked_run: str | None
) -> Iterator[Markup]:
    every = max(1, -(-run.n_layers // 24))
    base = _TOP + _STEP * run.n_layers
    yield element(
        "rect",
        x=_LEFT,
        y=_TOP,
        width=_STEP * MAP_CELLS,
        height=_STEP * run.n_layers,
        class_="empty",
    )
    for layer in range(0, run.n_layers, every):
        y = base - layer * _STEP - 2
        yield element("text", str(layer), x=_LEFT - 6, y=y, class_="tick end")
    highest = math.log1p(max((row[colour] for row in rows), default=1))
    for row in rows:
        name = f"{row['layer']}:{row['neuron']}"
        told = (
            f"{name} and neighbours: {row['n_neurons']} knowledge neurons; the most facts of one "
            f"{row['n_facts']:,}, relations {row['n_relations']:,}"
        )
        square = element(
            "rect",
            title(told),
            x=_LEFT + row["cell"] * _STEP + 0.5,
            y=base - (row["layer"] + 1) * _STEP + 0.5,
            width=_STEP - 1,
            height=_STEP - 1,
            class_="heat",
            fill_opacity=round(0.08 + 0.92 * math.log1p(row[colour]) / highest, 3),
        )
        yield element("a", square, href=address("neuron", name, {"run": asked_run}), tabindex=-1)
    yield element("text", "0", x=_LEFT, y=base + 14, class_="tick")
    yield element(
        "text",
        "index of the neuron within its layer",
        x=_LEFT + _STEP * MAP_CELLS / 2,
        y=base + 28,
        class_="tick middle",
    )
    yield element(
        "text",
        f"{run.n_neurons - 1:,}",
        x=_LEFT + _STEP * MAP_CELLS,
        y=base + 14,
        class_="tick end",
    )
