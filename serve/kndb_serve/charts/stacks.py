"""Stacks: columns of parts that add up, such as neurons in one run, the other, or both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kndb_serve.charts.svg import drawing, element, title

_LEFT, _TOP, _WIDE, _HIGH = 56, 30, 720.0, 150.0
_FILLS = ("column", "column other", "column third")


@dataclass(frozen=True)
class Stack:
    """A column: what is written below it, its parts from the bottom, and the tooltip."""

    label: str
    parts: Sequence[float]
    told: str


def stacks(
    columns: Sequence[Stack],
    label: str,
    names: Sequence[str] = (),
    highest: float | None = None,
    line: tuple[float, str] | None = None,
) -> Markup:
    """Stacks from left to right.

    Args:
        columns: at least one.
        label: what the chart is, for those who do not see it.
        names: of the parts, for the legend.
        highest: the top of the scale. Default: the highest stack.
        line: a dashed line at a height, and what it says.
    """
    top = highest or max(sum(column.parts) for column in columns) or 1
    height = _TOP + _HIGH + 22
    return drawing(
        _LEFT + _WIDE + 8,
        height,
        label,
        [*_legend(names), *_drawn(columns, top), *_line(line, top)],
    )


def _legend(names: Sequence[str]) -> Iterator[Markup]:
    x = float(_LEFT)
    for name, fill in zip(names, _FILLS, strict=False):
        yield element("rect", x=x, y=3, width=12, height=12, class_=fill)
        yield element("text", name, x=x + 18, y=13)
        x += 46 + 7 * len(name)


def _drawn(columns: Sequence[Stack], top: float) -> Iterator[Markup]:
    step, base = _WIDE / len(columns), _TOP + _HIGH
    every = max(1, -(-len(columns) // 24))
    yield element("text", f"{top:,.4g}", x=_LEFT - 8, y=_TOP + 10, class_="tick end")
    yield element("text", "0", x=_LEFT - 8, y=base, class_="tick end")
    for place, column in enumerate(columns):
        x, y = _LEFT + place * step, base
        inside = [title(column.told)]
        for part, fill in zip(column.parts, _FILLS, strict=False):
            tall = _HIGH * part / top
            y -= tall
            wide = step * 0.8
            inside.append(
                element("rect", x=x + step * 0.1, y=y, width=wide, height=tall, class_=fill)
            )
        yield element("g", Markup("").join(inside))
        if place % every == 0:
            yield element("text", column.label, x=x + step / 2, y=base + 16, class_="tick middle")
    yield element("line", x1=_LEFT, x2=_LEFT + _WIDE, y1=base, y2=base, class_="axis")


def _line(line: tuple[float, str] | None, top: float) -> Iterator[Markup]:
    if line is None:
        return
    value, text = line
    y = _TOP + _HIGH * (1 - value / top)
    right = _LEFT + _WIDE
    yield element("line", title(text), x1=_LEFT, x2=right, y1=y, y2=y, class_="chance")
    yield element("text", text, x=right, y=y - 4, class_="tick end")
