"""Charts of the evaluations' tables, as SVG to be put into a page. Computes no figure of its own.

matplotlib is an extra and is imported only here. Style and colours are those of ``kndb graph``.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kndb.graph.fonts import drawable, language_label
from kndb.graph.plot_style import PALETTE, style
from kndb_ingest.evaluation.table import ALL, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ROWS = 40  # more cannot be told apart
_WIDTH = 7.0  # inches
_COLOURS = 32  # of a colour bar; matplotlib makes an image of 50 and more

Row = dict[str, Any]


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def chart(table: Table) -> str | None:
    """The table's chart as an ``svg`` element; None where there is none, or nothing to draw.

    It refers to nothing outside itself. Its ids begin with the table's name.
    """
    draw = _CHARTS.get(table.name)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    if draw is None or not rows:
        return None
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(_WIDTH, 3), layout="constrained")
        if not draw(figure, rows):
            return None
        file = io.StringIO()
        figure.savefig(file, format="svg", bbox_inches="tight", pad_inches=0.05)
    return inline(file.getvalue(), table.name, table.title)


def inline(svg: str, name: str, title: str) -> str:
    """An SVG file as an element of a page: no header, no metadata, ids of its own, a title.

    >>> inline('<?xml?><svg xmlns="urn:x" width="9pt"><g id="a"/></svg>', "t", "A & B")
    '<svg role="img" aria-label="A &amp; B" style="max-width:9pt"><g id="t-a"/></svg>'
    """
    body = svg[svg.index("<svg") :].strip()
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body)
    body = re.sub(r'(<svg[^>]*?) width="([^"]*)"', r'\1 style="max-width:\2"', body)
    body = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", body)
    body = body.replace("xlink:href=", "href=")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    return body.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


@dataclass(frozen=True)
class Series:
    """Estimates of one kind: a value and the ends of its interval for each label."""

    name: str
    values: Sequence[tuple[float, float, float]]


def _series(name: str, rows: Sequence[Row], column: str) -> Series:
    return Series(name, [_estimate(row, column) for row in rows])


def _estimate(row: Row, column: str) -> tuple[float, float, float]:
    value, low, high = (
        math.nan if (x := row.get(f"{column}{end}")) is None else float(x)
        for end in ("", "_low", "_high")
    )
    return value, low, high


def _dots(axes: Axes, labels: Sequence[str], series: Sequence[Series], unit: str) -> bool:
    """A row of dots with their intervals for each label; False where there is no value."""
    step = 0.6 / len(series)
    for place, one in enumerate(series):
        known = [
            (at + (place - (len(series) - 1) / 2) * step, *values)
            for at, values in enumerate(one.values)
            if not math.isnan(values[0])
        ]
        for y, _, low, high in known:
            if not math.isnan(low + high):
                axes.plot([low, high], [y, y], color=PALETTE[place], linewidth=2, alpha=0.5)
        xs, ys = [x for _, x, _, _ in known], [y for y, *_ in known]
        axes.plot(xs, ys, "o", color=PALETTE[place], markersize=6, label=one.name)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(unit)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return any(not math.isnan(value) for one in series for value, _, _ in one.values)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    if len(names) > 1:
        figure.legend(handles, names, loc="outside upper left", ncols=len(names), frameon=False)


def _dot_chart(figure: Figure, labels: Sequence[str], series: Sequence[Series], unit: str) -> bool:
    if len(labels) > _MOST_ROWS:
        return False
    figure.set_size_inches(_WIDTH, 1.0 + 0.36 * len(labels) * max(1, 0.6 * len(series)))
    axes = figure.subplots()
    drawn = _dots(axes, labels, series, unit)
    _legend(figure, axes)
    return drawn


def _overall(rows: Sequence[Row]) -> list[Row]:
    """The rows about all relations and languages."""
    return [row for row in rows if row.get("relation", ALL) == row.get("lang", ALL) == ALL]


def _factcheck(figure: Figure, rows: Sequence[Row]) -> bool:
    own = _overall(rows)
    names = [row["method"] for row in own]
    series = [_series("F1", own, "f1"), _series("AUROC", own, "auroc")]
    return _dot_chart(figure, names, series, "on test facts, with 95 % intervals")


def _localisation(figure: Figure, rows: Sequence[Row]) -> bool:
    own = _overall(rows)
    effects = list(dict.fromkeys(row["effect"] for row in own))
    methods = list(dict.fromkeys(row["method"] for row in own))
    figure.set_size_inches(_WIDTH, 1.2 + 0.42 * len(methods))
    every = figure.subplots(1, len(effects), sharey=True, squeeze=False)[0]
    drawn = False
    for axes, effect in zip(every, effects, strict=True):
        of = [row for row in own if row["effect"] == effect]
        pair = [
            _series("the fact itself", of, "related_relative"),
            _series("unrelated facts", of, "unrelated_relative"),
        ]
        drawn |= _dots(axes, [row["method"] for row in of], pair, "relative change of p")
        axes.axvline(0, color="#666666", linewidth=0.8)
        axes.set_title(effect)
    _legend(figure, every[0])
    return drawn


def _faithfulness(figure: Figure, rows: Sequence[Row]) -> bool:
    """Rank correlation, and the top k's overlap and effect: one panel each."""
    tops = [name.removeprefix("removed_") for name in rows[0] if re.fullmatch(r"removed_\d+", name)]
    panels = {"spearman": "rank correlation"}
    if tops:
        k = tops[len(tops) // 2]
        panels |= {
            f"overlap_{k}": f"overlap of the top {k}",
            f"removed_{k}": f"p removed by the top {k}",
        }
    names = [row["method"] for row in rows]
    figure.set_size_inches(_WIDTH, 1.0 + 0.36 * len(names))
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    drawn = False
    for axes, (column, unit) in zip(every, panels.items(), strict=True):
        drawn |= _dots(axes, names, [_series(unit, rows, column)], unit)
    return drawn


def _pairs(figure: Figure, rows: Sequence[Row]) -> bool:
    """The Jaccard overlap of each two languages."""
    pairs = {tuple(row["langs"].split(",")): row["jaccard"] for row in rows if row["langs"] != ALL}
    langs = sorted({lang for pair in pairs for lang in pair})
    if len(langs) < 2:
        return False
    side = min(_WIDTH, 2.2 + 0.6 * len(langs))
    figure.set_size_inches(side + 1, side)
    table = [[pairs.get((min(a, b), max(a, b))) for b in langs] for a in langs]
    _matrix(figure, [language_label(lang) for lang in langs], table)
    return True


def _matrix(figure: Figure, labels: Sequence[str], table: list[list[float | None]]) -> None:
    import numpy as np
    from matplotlib import colormaps

    values = np.array(table, dtype=float)
    axes = figure.subplots()
    highest = np.nanmax(values) if np.any(values > 0) else 1.0
    # Cells and few colours are drawn as shapes; an image would be one more file within the file.
    colours = colormaps["cividis"].resampled(_COLOURS)
    cells = axes.pcolormesh(values, cmap=colours, vmin=0, vmax=highest, edgecolors="white")
    axes.set_aspect("equal")
    axes.invert_yaxis()
    middles = np.arange(len(labels)) + 0.5
    axes.set_xticks(middles, labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(middles, labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(~np.isnan(values)) if len(labels) <= 16 else ():
        value = values[row, column]
        colour = "black" if value > 0.45 * highest else "white"
        axes.text(column + 0.5, row + 0.5, f"{value:.3f}", ha="center", va="center", color=colour)
    figure.colorbar(cells, ax=axes, label="Jaccard", shrink=0.85)


def _relations(figure: Figure, rows: Sequence[Row]) -> bool:
    names = [drawable(row["relation"], row["relation_id"]) for row in rows]
    series = [_series("significant", rows, "significant")]
    return _dot_chart(figure, names, series, "share of facts with q ≤ 0.05, 95 % intervals")


def _layers(some: str) -> Callable[[Figure, Sequence[Row]], bool]:
    """Shares of neurons by layer, of some beside all knowledge neurons."""

    def draw(figure: Figure, rows: Sequence[Row]) -> bool:
        axes = figure.subplots()
        for place, (column, name) in enumerate(
            ((f"{some}_share", _NAMES[some]), ("knowledge_share", "all knowledge neurons"))
        ):
            estimates = [_estimate(row, column) for row in rows]
            if all(math.isnan(value) for value, _, _ in estimates):
                continue
            xs = [row["layer"] + (place - 0.5) * 0.4 for row in rows]
            axes.bar(
                xs, [v for v, _, _ in estimates], 0.38, color=PALETTE[place], alpha=0.8, label=name
            )
            for x, (_, low, high) in zip(xs, estimates, strict=True):
                axes.plot([x, x], [low, high], color="black", linewidth=1)
        axes.set_xticks(range(0, len(rows), max(1, len(rows) // 24)))
        axes.set_xlabel("layer, from 0")
        axes.set_ylabel("share of the neurons")
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        _legend(figure, axes)
        return True

    return draw


_NAMES = {"independent": "language-independent neurons", "degenerate": "degenerate neurons"}


def _edits(figure: Figure, rows: Sequence[Row]) -> bool:
    names = [f"{row['mode']}, {row['selection']}: {row['measure']}" for row in rows]
    series = [_series("edited", rows, "value"), _series("random neurons", rows, "control")]
    return _dot_chart(figure, names, series, "share of prompts, with 95 % intervals")


def _rates(figure: Figure, rows: Sequence[Row]) -> bool:
    own = [row for row in rows if row["lang"] == ALL or row["relation_id"] == ALL]
    if len(own) > _MOST_ROWS:
        own = [row for row in own if row["lang"] == ALL]
    names = [
        drawable(row["relation"], row["relation_id"])
        if row["relation_id"] != ALL
        else language_label(row["lang"])
        for row in own
    ]
    series = [
        _series("sets of knowledge neurons", own, "rate"),
        _series("random sets", own, "control_rate"),
    ]
    return _dot_chart(figure, names, series, "share of sets that are degenerate, 95 % intervals")


def _sizes(figure: Figure, rows: Sequence[Row]) -> bool:
    names = [f"sets of {row['size']}" for row in rows]
    series = [
        _series("the set", rows, "drop"),
        _series("its worst proper part", rows, "max_subset_drop"),
        _series("random neurons", rows, "control_drop"),
    ]
    return _dot_chart(figure, names, series, "drop of the answer's probability, 95 % intervals")


_CHARTS: dict[str, Callable[[Figure, Sequence[Row]], bool]] = {
    "factcheck": _factcheck,
    "localisation": _localisation,
    "faithfulness": _faithfulness,
    "crosslingual-pairs": _pairs,
    "crosslingual-relations": _relations,
    "crosslingual-layers": _layers("independent"),
    "crosslingual-edits": _edits,
    "degenerate-rates": _rates,
    "degenerate-sizes": _sizes,
    "degenerate-layers": _layers("degenerate"),
}
