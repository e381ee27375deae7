"""What each evaluation found, in a sentence with its figures. Computes no figure of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kndb.evaluation.readable import readable
from kndb.evaluation.table import ALL, Table

Row = Mapping[str, Any]
"""A row by its columns: values as they are, and as people read them under ``column:``."""


def finding(tables: Sequence[Table]) -> str | None:
    """The sentence of the first table that has one; None if there is nothing to say."""
    for table in tables:
        say = _SENTENCES.get(table.name)
        rows = [row for row in _rows(table) if row.get("relation", ALL) == ALL]
        rows = [row for row in rows if row.get("lang", ALL) == ALL]
        if say is not None and rows:
            with suppress(KeyError):  # the table was made without a column that this needs
                return say(rows)
    return None


def _rows(table: Table) -> list[Row]:
    shown = readable(table)
    names = [name for name in table.columns if not name.endswith(("_low", "_high"))]
    return [
        dict(zip(table.columns, row, strict=True))
        | {f"{name}:": text for name, text in zip(names, texts, strict=True)}
        for row, texts in zip(table.rows, shown.rows, strict=True)
    ]


def _best(rows: Sequence[Row], column: str) -> Row:
    """The row with the highest value, or the first if no value is known."""
    known = [row for row in rows if row[column] is not None and not math.isnan(row[column])]
    return max(known or rows[:1], key=lambda row: row[column] or 0.0)


def _of(rows: Sequence[Row], method: str) -> Row | None:
    return next((row for row in rows if row["method"] == method), None)


def _factcheck(rows: Sequence[Row]) -> str:
    best, every = _best(rows, "f1"), _of(rows, "everything-true")
    found = (
        f"`{best['method']}` tells true claims from false ones best, with an F1 of {best['f1:']}"
    )
    if every is None or every is best:
        return f"{found}."
    return f"{found}; calling every claim true has {every['f1:']}."


def _localisation(rows: Sequence[Row]) -> str:
    suppressed = [row for row in rows if row["effect"] == "suppress"]
    own, random = _of(suppressed, "knowledge"), _of(suppressed, "random-layers")
    shown = own or suppressed[0]
    found = (
        f"suppressing the neurons of `{shown['method']}` changes the fact's own probability by "
        f"{shown['related_relative:']} of itself, and that of unrelated facts by "
        f"{shown['unrelated_relative:']}"
    )
    if random is None:
        return f"{found}."
    change = random["related_relative:"]
    return f"{found}; random neurons of the same layers change the fact by {change}."


def _faithfulness(rows: Sequence[Row]) -> str:
    best = _best([row for row in rows if row["method"] != "true"] or rows, "spearman")
    return (
        f"the scores of `{best['method']}` agree best with what suppressing each neuron does, with "
        f"a rank correlation of {best['spearman:']}."
    )


def _pairs(rows: Sequence[Row]) -> str:
    (whole,) = [row for row in rows if row["langs"] == ALL][:1] or rows[:1]
    return (
        f"the languages of a fact share {whole['shared:']} of its {whole['size:']} neurons, where "
        f"chance would give {whole['expected:']}."
    )


def _rates(rows: Sequence[Row]) -> str:
    row = rows[0]
    return (
        f"{row['carriers:']} of the facts have degenerate neurons; of the sets tried, "
        f"{row['rate:']} are degenerate, and of random sets {row['control_rate:']}."
    )


_SENTENCES: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "factcheck": _factcheck,
    "localisation": _localisation,
    "faithfulness": _faithfulness,
    "crosslingual-pairs": _pairs,
    "degenerate-rates": _rates,
}
