"""Tables as HTML for notebooks. Everything is escaped; there is no script and no style sheet.

Texts keep the notebook's colour, and lines and bars are translucent, so that tables can be read on
a light and on a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums;color:inherit"
_CELL = "padding:2px 10px 2px 0;background:none;text-align:"
_LINE = ";border-bottom:1px solid #8888"
_BLUE, _ORANGE = "#0072b266", "#d55e0066"
"""The colours of bars above and below 0, of Okabe and Ito (2008), at 40 %."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        head: its name.
        texts: its cells.
        right: whether they are right-aligned, as numbers are.
        bars: for each cell, the length of a bar behind its text, from -1 to 1; None for no bars.
    """

    head: str
    texts: Sequence[str]
    right: bool = False
    bars: Sequence[float] | None = None


Titled = tuple[str, str, Sequence[Column]]
"""A table with its title and what it is about, either of which may be empty."""


def html_table(columns: Sequence[Column], title: str = "", about: str = "") -> str:
    """A table, below its title in bold and what it is about.

    >>> "<bdi>a&lt;b</bdi>" in html_table([Column("a<b", ["1"], right=True)])
    True
    """
    heading = f"<b>{_own(title)}</b> " if title else ""
    heading += f'<span style="opacity:.7">{_own(about)}</span>' if about else ""
    head = "".join(_cell("th", column, _own(column.head), _LINE) for column in columns)
    rows = "".join(
        f"<tr>{''.join(_body_cell(column, at) for column in columns)}</tr>\n"
        for at in range(len(columns[0].texts) if columns else 0)
    )
    return (
        f'<div>{heading}<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>\n'
        f"{rows}</tbody></table></div>"
    )


def lengths(values: Sequence[float | None]) -> list[float]:
    """The bars of values: each as a share of the largest absolute one.

    >>> lengths([2.0, -1.0, None])
    [1.0, -0.5, 0.0]
    """
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return [(value or 0.0) / largest if largest else 0.0 for value in values]


def _body_cell(column: Column, at: int) -> str:
    bar = "" if column.bars is None else _bar(column.bars[at])
    return _cell("td", column, _own(column.texts[at]), bar)


def _cell(tag: str, column: Column, content: str, style: str) -> str:
    side = "right" if column.right else "left"
    wide = ";min-width:8em" if column.bars is not None else ""
    return f'<{tag} style="{_CELL}{side}{wide}{style}">{content}</{tag}>'


def _bar(length: float) -> str:
    """The style of a cell with a bar in its background."""
    colour, share = (_BLUE if length > 0 else _ORANGE), min(100 * abs(length), 100)
    return f";background:linear-gradient(to right,{colour} {share:.0f}%,#0000 {share:.0f}%)"


def _own(text: str) -> str:
    """The text, escaped; whatever its direction, that of its surroundings stays."""
    return f"<bdi>{escape(text)}</bdi>"
