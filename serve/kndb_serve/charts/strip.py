"""A heat strip: scores of a fact over the layers, a line for each language."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from kndb.plain import counted
from kndb.store.result import Result
from kndb_serve.charts.svg import drawing, element, title

_ROW, _LEFT, _TOP, _WIDE = 24, 52, 18, 480.0


def layer_strip(scores: Result, n_layers: int) -> Markup:
    """Rows of ``Database.layer_scores`` as a strip for each language.

    Args:
        scores: ``lang, layer, n_neurons, score``.
        n_layers: layers of the model.
    """
    rows = scores.to_dicts()
    langs = sorted({row["lang"] for row in rows})
    height = _TOP + _ROW * len(langs) + 4
    label = f"Scores of {len(langs)} languages over {n_layers} layers"
    return drawing(_LEFT + _WIDE, height, label, _parts(rows, langs, n_layers))


def _parts(rows: list[dict[str, float]], langs: list[str], n_layers: int) -> Iterator[Markup]:
    step = _WIDE / n_layers
    highest = max((abs(row["score"]) for row in rows), default=0.0) or 1.0
    every = max(1, -(-n_layers // 16))
    for layer in range(0, n_layers, every):
        yield element(
            "text", str(layer), x=_LEFT + (layer + 0.5) * step, y=12, class_="tick middle"
        )
    for place, lang in enumerate(langs):
        y = _TOP + place * _ROW
        yield element("text", lang, x=_LEFT - 8, y=y + 14, class_="tick end")
        yield element("rect", x=_LEFT, y=y, width=_WIDE, height=_ROW - 4, class_="empty")
    for row in rows:
        y = _TOP + langs.index(str(row["lang"])) * _ROW
        neurons = counted(int(row["n_neurons"]), "neuron")
        told = f"{row['lang']}, layer {row['layer']}: {row['score']:.4f}, {neurons}"
        yield element(
            "rect",
            title(told),
            x=_LEFT + row["layer"] * step + 0.5,
            y=y,
            width=max(step - 1, 0.5),
            height=_ROW - 4,
            class_="heat" if row["score"] >= 0 else "heat below",
            fill_opacity=round(0.06 + 0.94 * abs(row["score"]) / highest, 3),
        )
