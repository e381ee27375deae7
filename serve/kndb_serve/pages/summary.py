"""What is known of a part of the data, a relation or a language: the parts that both pages have."""

from __future__ import annotations

from functools import partial
from typing import Any

from kndb.store.result import Result
from kndb_serve.charts.columns import layer_columns
from kndb_serve.charts.matrix import overlap_matrix
from kndb_serve.page import Chart, Part, Table
from kndb_serve.view import View, found_or

_OVERLAP = (
    "Neurons that two languages of a fact share, as a share of those in either (Jaccard). The bar "
    "is the measured share, the dashed line what chance would give."
)

_NEURONS = 12
"""Neurons that are shown at first."""

_FEW = 6
"""Languages whose matrix fits half of a wide page."""


def summary(view: View, relation: str | None = None, lang: str | None = None) -> list[Part]:
    """Accuracy, layers, overlap, neurons and facts of a relation or of a language."""
    of = {"relation": relation, "lang": lang}
    asked = {**of, **view.asking(view.run)}
    state = tuple(asked.values())
    accuracy = view.remember(
        ("accuracy", *state), lambda: view.db.accuracy(view.run.run_id, relation, lang)
    )
    layers, _ = view.remember(("layers", *state), lambda: found_or(lambda: view.db.layers(**asked)))
    some = view.some("neurons", _NEURONS)
    neurons, why = view.remember(
        ("neurons", *state, *some.values()),
        lambda: found_or(lambda: view.db.neurons(**asked, **some)),
    )
    own = (*(name for name, value in of.items() if value), "relation_id" if relation else "")
    known = Table(
        "accuracy",
        "What the model knows",
        accuracy,
        hidden=own,
        bars=["accuracy"],
        short=12,
        half=True,
    )
    parts: list[Part] = [known]
    if layers:
        draw = partial(layer_columns, layers, view.run.n_layers)
        parts.append(
            Chart("Layers", draw, "Its knowledge neurons, layer by layer.", "layers", half=True)
        )
    chart, overlap = _overlap(view, relation, lang)
    return [
        *parts,
        *chart,
        Table(
            "neurons",
            "Neurons of the most facts",
            neurons,
            empty=why,
            hidden=("model", "run_id", "n_relations" if relation else "langs", "n_langs"),
            bars=["n_facts"],
            short=_NEURONS,
            half=True,
            paged=True,
        ),
        overlap,
        Table("layers", "Neurons by layer", layers, empty=why, folded=True, half=True),
    ]


def _overlap(view: View, relation: str | None, lang: str | None) -> tuple[list[Part], Table]:
    asked: dict[str, Any] = {"relation": relation, **view.asking(view.run)}
    pairs, why = view.remember(
        ("pairs", *asked.values()),
        lambda: found_or(lambda: view.db.overlap(by="language-pair", **asked)),
    )
    if lang is not None:
        rows = [row for row in pairs if lang in row[0].split(",")]
        pairs = Result(pairs.columns, pairs.types, rows)
    hidden = ("model", "run_id")
    table = Table(
        "overlap", "Overlap of languages", pairs, empty=why, hidden=hidden, folded=True, half=True
    )
    if not pairs:
        return [], table
    draw = partial(overlap_matrix, pairs, lang)
    few = len({one for row in pairs for one in row[0].split(",")}) <= _FEW
    return [Chart("Languages", draw, _OVERLAP, "overlap", half=few)], table
