"""Charts of the evaluations' tables, as SVG to be put into a page. Computes no figure of its own.

matplotlib is an extra and is imported only where something is drawn. Style and colours are
those of ``kndb graph``.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kndb.evaluation.report.chart_parts import (
    MOST_ROWS,
    WIDTH,
    Row,
    dot_chart,
    dots,
    estimate,
    legend,
    matrix,
    series_of,
)
from kndb.evaluation.report.page_colours import STAND_INS, with_variables
from kndb.evaluation.table import ALL, Table
from kndb.plotting.fonts import drawable, language_label
from kndb.plotting.style import style, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def chart(table: Table) -> str | None:
    """The table's chart as an ``svg`` element; None where there is none, or nothing to draw.

    It refers to nothing outside itself but the page's colours. Its ids begin with the table's name.
    """
    draw = _CHARTS.get(table.name)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    if draw is None or not rows:
        return None
    from matplotlib.figure import Figure

    with style(STAND_INS):
        figure = Figure(figsize=(WIDTH, 3), layout="constrained")
        if not draw(figure, rows):
            return None
        file = io.StringIO()
        figure.savefig(file, format="svg", bbox_inches="tight", pad_inches=0.05)
    return inline(with_variables(file.getvalue()), table.name, table.title)


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


def _overall(rows: Sequence[Row]) -> list[Row]:
    """The rows about all relations and languages."""
    return [row for row in rows if row.get("relation", ALL) == row.get("lang", ALL) == ALL]


def _factcheck(figure: Figure, rows: Sequence[Row]) -> bool:
    own = _overall(rows)
    names = [row["method"] for row in own]
    series = [series_of("F1", own, "f1"), series_of("AUROC", own, "auroc")]
    return dot_chart(figure, names, series, "on test facts, with 95 % intervals")


def _localisation(figure: Figure, rows: Sequence[Row]) -> bool:
    own = _overall(rows)
    effects = list(dict.fromkeys(row["effect"] for row in own))
    methods = list(dict.fromkeys(row["method"] for row in own))
    figure.set_size_inches(WIDTH, 1.2 + 0.42 * len(methods))
    every = figure.subplots(1, len(effects), sharey=True, squeeze=False)[0]
    drawn = False
    for axes, effect in zip(every, effects, strict=True):
        of = [row for row in own if row["effect"] == effect]
        pair = [
            series_of("the fact itself", of, "related_relative"),
            series_of("unrelated facts", of, "unrelated_relative"),
        ]
        drawn |= dots(axes, [row["method"] for row in of], pair, "relative change of p")
        axes.axvline(0, color=theme().muted, linewidth=0.8)
        axes.set_title(effect)
    legend(figure, every[0])
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
    figure.set_size_inches(WIDTH, 1.0 + 0.36 * len(names))
    every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    drawn = False
    for axes, (column, unit) in zip(every, panels.items(), strict=True):
        drawn |= dots(axes, names, [series_of(unit, rows, column)], unit)
    return drawn


def _pairs(figure: Figure, rows: Sequence[Row]) -> bool:
    """The Jaccard overlap of each two languages."""
    pairs = {tuple(row["langs"].split(",")): row["jaccard"] for row in rows if row["langs"] != ALL}
    langs = sorted({lang for pair in pairs for lang in pair})
    if len(langs) < 2:
        return False
    side = min(WIDTH, 2.2 + 0.6 * len(langs))
    figure.set_size_inches(side + 1, side)
    table = [[pairs.get((min(a, b), max(a, b))) for b in langs] for a in langs]
    matrix(figure, [language_label(lang) for lang in langs], table)
    return True


def _relations(figure: Figure, rows: Sequence[Row]) -> bool:
    names = [drawable(row["relation"], row["relation_id"]) for row in rows]
    series = [series_of("significant", rows, "significant")]
    return dot_chart(figure, names, series, "share of facts with q ≤ 0.05, 95 % intervals")


def _layers(some: str) -> Callable[[Figure, Sequence[Row]], bool]:
    """Shares of neurons by layer, for some neurons and for all knowledge neurons."""

    def draw(figure: Figure, rows: Sequence[Row]) -> bool:
        axes = figure.subplots()
        for place, (column, name) in enumerate(
            ((f"{some}_share", _NAMES[some]), ("knowledge_share", "all knowledge neurons"))
        ):
            estimates = [estimate(row, column) for row in rows]
            if all(math.isnan(value) for value, _, _ in estimates):
                continue
            xs = [row["layer"] + (place - 0.5) * 0.4 for row in rows]
            values, colour = [value for value, _, _ in estimates], theme().palette[place]
            axes.bar(xs, values, 0.38, color=colour, alpha=0.8, label=name)
            for x, (_, low, high) in zip(xs, estimates, strict=True):
                axes.plot([x, x], [low, high], color=theme().ink, linewidth=1)
        axes.set_xticks(range(0, len(rows), max(1, len(rows) // 24)))
        axes.set_xlabel("layer, from 0")
        axes.set_ylabel("share of the neurons")
        axes.grid(axis="y", linewidth=0.6)
        axes.set_axisbelow(True)
        legend(figure, axes)
        return True

    return draw


_NAMES = {"independent": "language-independent neurons", "degenerate": "degenerate neurons"}


def _edits(figure: Figure, rows: Sequence[Row]) -> bool:
    names = [f"{row['mode']}, {row['selection']}: {row['measure']}" for row in rows]
    series = [series_of("edited", rows, "value"), series_of("random neurons", rows, "control")]
    return dot_chart(figure, names, series, "share of prompts, with 95 % intervals")


def _rates(figure: Figure, rows: Sequence[Row]) -> bool:
    own = [row for row in rows if row["lang"] == ALL or row["relation_id"] == ALL]
    if len(own) > MOST_ROWS:
        own = [row for row in own if row["lang"] == ALL]
    names = [
        drawable(row["relation"], row["relation_id"])
        if row["relation_id"] != ALL
        else language_label(row["lang"])
        for row in own
    ]
    series = [
        series_of("sets of knowledge neurons", own, "rate"),
        series_of("random sets", own, "control_rate"),
    ]
    return dot_chart(figure, names, series, "share of sets that are degenerate, 95 % intervals")


def _sizes(figure: Figure, rows: Sequence[Row]) -> bool:
    names = [f"sets of {row['size']}" for row in rows]
    series = [
        series_of("the set", rows, "drop"),
        series_of("its worst proper part", rows, "max_subset_drop"),
        series_of("random neurons", rows, "control_drop"),
    ]
    return dot_chart(figure, names, series, "drop of the answer's probability, 95 % intervals")


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
