"""A table's figures as people read them: a value and its interval in one cell, rounded alike.

>>> columns = ("lang", "drop", "drop_low", "drop_high")
>>> readable(Table("t", "", columns, [("en", 0.31, 0.2, 0.4)])).rows
[['en', '0.310 [0.200, 0.400]']]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from kndb.evaluation.table import Table

_HEADS = {"f1": "F1", "auroc": "AUROC", "p_value": "p", "q_value": "q", "relation_id": "id"}
_NOTHING = "–"

RATIOS = ("ratio", "success")
"""Columns of ratios whose denominator may be near 0."""

_SPAN = 100.0
_SMALL = 0.1
_NOT_DETERMINED = "not determined"


@dataclass(frozen=True)
class Readable:
    """A table in words.

    Attributes:
        heads: of the columns, those of interval ends left out.
        numeric: whether each column holds numbers.
        rows: a text for each column.
        notes: what a reader must know of how it is shown.
    """

    heads: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    notes: list[str]


def readable(table: Table) -> Readable:
    """The table with each interval behind its value."""
    at = {name: place for place, name in enumerate(table.columns)}
    shown = [name for name in table.columns if _base(name) not in at]
    columns = [_texts(table.rows, at, name) for name in shown]
    undetermined = [
        head(name) for name, texts in zip(shown, columns, strict=True) if _NOT_DETERMINED in texts
    ]
    return Readable(
        [head(name) for name in shown],
        [_is_numeric([row[at[name]] for row in table.rows]) for name in shown],
        [list(row) for row in zip(*columns, strict=True)] if table.rows else [],
        [
            f"{name}: not determined where its interval spans more than two orders of magnitude, "
            "because what it is divided by is near 0; files have the figures."
            for name in undetermined
        ],
    )


def determined(low: float, high: float) -> bool:
    """Whether a ratio's interval says how large it is: not over two orders of magnitude.

    Ends below 0.1 count as 0.1: near 0, orders of magnitude mean little.

    >>> determined(23.5, 58.5), determined(-0.4, 0.6), determined(-120.0, 3500.0)
    (True, True, False)
    """
    least = 0.0 if low < 0 < high else min(abs(low), abs(high))
    return max(abs(low), abs(high)) <= _SPAN * max(least, _SMALL)


def head(name: str) -> str:
    """A column's name in words.

    >>> head("n_facts"), head("max_subset_drop"), head("f1")
    ('facts', 'max subset drop', 'F1')
    """
    return _HEADS.get(name, name.removeprefix("n_").replace("_", " "))


def _base(name: str) -> str | None:
    """The column whose interval this column ends; None if it is not the end of an interval."""
    for end in ("_low", "_high"):
        if name.endswith(end):
            return name.removesuffix(end)
    return None


def _texts(rows: Sequence[Sequence[Any]], at: dict[str, int], name: str) -> list[str]:
    values = [row[at[name]] for row in rows]
    decimals = _decimals([value for value in values if isinstance(value, float)])
    if f"{name}_low" not in at or f"{name}_high" not in at:
        return [text(value, decimals) for value in values]
    lows, highs = ([row[at[f"{name}_{end}"]] for row in rows] for end in ("low", "high"))
    return [
        _with_interval(value, low, high, decimals, name in RATIOS)
        for value, low, high in zip(values, lows, highs, strict=True)
    ]


def _with_interval(value: Any, low: Any, high: Any, decimals: int, ratio: bool) -> str:
    if _missing(low) or _missing(high):
        return text(value, decimals)
    if ratio and not determined(low, high):
        return _NOT_DETERMINED
    return f"{text(value, decimals)} [{text(low, decimals)}, {text(high, decimals)}]"


def text(value: Any, decimals: int = 3) -> str:
    """A value in words; very small ones by their magnitude.

    >>> text(0.12345), text(7.9e-06), text(1234567), text(None), text(float("nan"))
    ('0.123', '8e-06', '1234567', '–', '–')
    """
    if _missing(value):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if value and round(abs(value), decimals) == 0:
        return f"{value:.0e}"
    return f"{value:,.{decimals}f}"


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _decimals(values: Sequence[float]) -> int:
    """Three significant digits or so of what is usual in the column."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    usual = median(sizes) if sizes else 0.0
    return next((n for limit, n in ((1.05, 3), (10, 2), (1000, 1)) if usual < limit), 0)


def _is_numeric(values: Sequence[Any]) -> bool:
    known = [value for value in values if not _missing(value)]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )
