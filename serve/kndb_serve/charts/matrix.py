"""A matrix of languages: what each pair shares, with what chance would give."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from kndb.store.result import Result
from kndb_serve.charts.svg import drawing, element, title

_CELL, _HIGH, _LEFT, _TOP = 84, 44, 64, 22
MOST = 16
"""Languages that a matrix shows."""


def overlap_matrix(pairs: Result, lang: str | None = None) -> Markup:
    """Rows of ``Database.overlap`` by language pair; of one language, only its own line.

    A cell's bar is the Jaccard index, and the line across it the index that chance would give.
    """
    rows = {tuple(row["langs"].split(",")): row for row in pairs.to_dicts()}
    langs = sorted({one for pair in rows for one in pair})
    if lang is not None:
        langs = [lang, *(one for one in langs if one != lang)]
    langs = langs[:MOST]
    lines = langs[:1] if lang is not None else langs
    width, height = _LEFT + _CELL * len(langs), _TOP + _HIGH * len(lines)
    label = f"Shared neurons of {len(langs)} languages, pair by pair"
    return drawing(width, height, label, _parts(rows, lines, langs))


def _parts(
    rows: dict[tuple[str, ...], dict[str, float]], lines: list[str], langs: list[str]
) -> Iterator[Markup]:
    highest = max((_index(row) for row in rows.values()), default=0) or 1
    for place, lang in enumerate(langs):
        yield element("text", lang, x=_LEFT + (place + 0.5) * _CELL, y=14, class_="tick middle")
    for line, one in enumerate(lines):
        y = _TOP + line * _HIGH
        yield element("text", one, x=_LEFT - 10, y=y + _HIGH / 2 + 4, class_="tick end")
        for place, other in enumerate(langs):
            x = _LEFT + place * _CELL
            yield element(
                "rect", x=x + 1, y=y + 1, width=_CELL - 2, height=_HIGH - 2, class_="empty"
            )
            row = rows.get(tuple(sorted((one, other))))
            if row is not None and one != other:
                yield from _cell(row, x + 8, y, highest)


def _cell(row: dict[str, float], x: float, y: float, highest: float) -> Iterator[Markup]:
    index, union = _index(row), row["n_union"] or 1
    long = (_CELL - 16) / highest
    by_chance = (row["expected"] or 0.0) / union
    told = (
        f"{row['langs']}: {row['n_shared']:,} of {row['n_union']:,} neurons shared, "
        f"{row['expected'] or 0:.3g} by chance"
    )
    yield element("text", f"{index:.3f}", x=x, y=y + 20, class_="value")
    yield element(
        "rect", title(told), x=x, y=y + 28, width=max(index * long, 0.5), height=6, class_="column"
    )
    at = x + min(by_chance, highest) * long
    yield element("line", title(told), x1=at, x2=at, y1=y + 25, y2=y + 37, class_="chance")


def _index(row: dict[str, float]) -> float:
    return row["jaccard"] or 0.0
