"""Columns: the knowledge neurons of each layer."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from kndb.plain import counted
from kndb.store.result import Result
from kndb_serve.charts.svg import drawing, element, title

_LEFT, _TOP, _WIDE, _HIGH, _RIGHT = 44, 12, 440.0, 150.0, 96


def layer_columns(layers: Result, n_layers: int) -> Markup:
    """Rows of ``Database.layers`` as a column for each layer, beside an even spread."""
    counts = {row["layer"]: row["n_neurons"] for row in layers.to_dicts()}
    label = f"Neurons in each of {n_layers} layers"
    return drawing(_LEFT + _WIDE + _RIGHT, _TOP + _HIGH + 22, label, _parts(counts, n_layers))


def _parts(counts: dict[int, int], n_layers: int) -> Iterator[Markup]:
    step = _WIDE / n_layers
    highest = max(counts.values())
    every = max(1, -(-n_layers // 16))
    base = _TOP + _HIGH
    yield element("text", f"{highest:,}", x=_LEFT - 8, y=_TOP + 10, class_="tick end")
    yield element("text", "0", x=_LEFT - 8, y=base, class_="tick end")
    for layer in range(n_layers):
        count = counts.get(layer, 0)
        tall = _HIGH * count / highest
        yield element(
            "rect",
            title(f"layer {layer}: {counted(count, 'neuron')}"),
            x=_LEFT + layer * step + step * 0.1,
            y=base - tall,
            width=step * 0.8,
            height=tall,
            class_="column",
        )
        if layer % every == 0:
            yield element(
                "text",
                str(layer),
                x=_LEFT + (layer + 0.5) * step,
                y=base + 16,
                class_="tick middle",
            )
    even = base - _HIGH * sum(counts.values()) / n_layers / highest
    yield element(
        "line",
        title("an even spread over the layers"),
        x1=_LEFT,
        x2=_LEFT + _WIDE,
        y1=even,
        y2=even,
        class_="chance",
    )
    yield element("text", "even spread", x=_LEFT + _WIDE + 6, y=even + 4, class_="tick")
    yield element("line", x1=_LEFT, x2=_LEFT + _WIDE, y1=base, y2=base, class_="axis")
