"""Lays out the rows of ``kndb graph overlap`` as tables. Imported only when a table is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kndb_cli.output.fitting import narrowing
from kndb_cli.output.rows import Listing, Rows
from kndb_cli.output.tables import empty_table

OverlapRow = dict[str, Any]

_NEURONS_SHOWN = 6
_MATRIX_LANGS = 16  # a wider matrix does not fit a terminal


def overlap_table(found: Rows) -> RenderableType:
    """One table per run; for language pairs, also a matrix of their Jaccard overlaps."""
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows()]
    parts: list[RenderableType] = []
    for (model, run), of_run in groupby(rows, key=lambda row: (row["model"], row["run_id"])):
        several = list(of_run)
        parts.append(Text.assemble((model, "bold cyan"), (f"  run {run}", "dim")))
        if "fact_key" not in found.columns and "relation" not in found.columns:
            parts += _matrix(several)
        parts += [_table(several), Text()]
    return Group(*parts[:-1])


def _table(rows: Sequence[OverlapRow]) -> RenderableType:
    left_out = {"model", "run_id", "n_union"} | ({"relation"} if "fact_key" in rows[0] else set())
    names = [name for name in rows[0] if name not in left_out]
    names = [name for name in names if any(row[name] is not None for row in rows)]
    listed = [tuple(_shown(name, row[name]) for name in names) for row in rows]
    return narrowing(
        Listing(tuple(_HEADS.get(name, name) for name in names), listed), _NARROW, _NARROWEST
    )


_NARROW = (
    "fact",
    "subject",
    "answer",
    "relation",
    "langs",
    "facts",
    "shared",
    "jaccard",
    "expected",
    "q",
    "two facts share",
    "by chance",
)
_NARROWEST = ("fact", "subject", "relation", "langs", "facts", "shared", "jaccard", "q")
"""What is shown where not all fits."""

_HEADS = {
    "fact_key": "fact",
    "relation_id": "id",
    "n_facts": "facts",
    "n_shared": "shared",
    "p_value": "p",
    "q_value": "q",
    "n_significant": "q ≤ 0.05",
    "shared_by_facts": "two facts share",
    "shared_by_facts_expected": "by chance",
}


def _shown(name: str, value: Any) -> Any:
    if name == "sizes":
        return ", ".join(map(str, value))
    if name in ("p_value", "q_value") and value is not None:
        return _chance(value)
    if name == "neurons" and value:
        neurons = value.split(",")
        more = f", … ({len(neurons)})" if len(neurons) > _NEURONS_SHOWN else ""
        return ", ".join(neurons[:_NEURONS_SHOWN]) + more
    return value


def _chance(value: float) -> str:
    """A probability; small ones in scientific notation.

    >>> _chance(0.0412), _chance(3.2e-7), _chance(0.0)
    ('0.041', '3e-07', '<1e-300')
    """
    if value == 0:
        return "<1e-300"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _matrix(rows: Sequence[OverlapRow]) -> Iterable[RenderableType]:
    """The overlap of each pair of languages, unless there are two languages or too many."""
    jaccard = {tuple(row["langs"].split(",")): row["jaccard"] for row in rows}
    langs = sorted({lang for pair in jaccard for lang in pair})
    if not 2 < len(langs) <= _MATRIX_LANGS:
        return []
    table: Table = empty_table()
    for name in ("Jaccard", *langs):
        table.add_column(name, justify="left" if name == "Jaccard" else "right", no_wrap=True)
    for a in langs:
        cells = [_cell(jaccard.get((min(a, b), max(a, b))), a == b) for b in langs]
        table.add_row(Text(a, style="bold"), *cells)
    return [table, Text()]


def _cell(value: float | None, same: bool) -> Text:
    if same:
        return Text("1", style="dim")
    return Text("–", style="dim") if value is None else Text(f"{value:.3f}")
