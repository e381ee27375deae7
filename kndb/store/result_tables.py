"""A result as tables, with bars for scores: as HTML for notebooks, or printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from kndb.cells import UNKNOWN, column_texts, is_numeric
from kndb.html_table import Column, Titled, html_table, lengths
from kndb.plain import unique

SHOWN = 60
"""Most rows that are shown: a notebook keeps them in its file."""

_HEADS = {"fact_key": "fact", "n_facts": "facts", "n_relations": "relations", "n_langs": "langs"}
_OF_RUN = ("model", "run_id")
_REPEATED = ("fact_key", "relation", "lang", "subject", "answer")
"""Columns that are shown once for all neurons of a fact and language."""

Row = tuple[Any, ...]


def result_html(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Rows as HTML: a table for each run, with bars for scores."""
    tables = [html_table(own, *head) for *head, own in _tables(columns, rows[:SHOWN])]
    left = len(rows) - SHOWN
    return "\n".join([*tables, f"<div>and {left:,} more</div>"] if left > 0 else tables)


def print_result(columns: Sequence[str], rows: Sequence[Row], limit: int) -> None:
    """Print the first rows: a table for each run, with bars for scores."""
    # Here, because only people who look at rows in a terminal need Rich.
    from kndb.text_table import print_tables

    left = len(rows) - limit
    print_tables(_tables(columns, rows[:limit]), f"and {left:,} rows more" if left > 0 else "")


def _tables(columns: Sequence[str], rows: Sequence[Row]) -> list[Titled]:
    names = tuple(unique(columns))
    return list(_by_run(names, rows)) if names[-2:] == _OF_RUN else [_table(names, rows)]


def _by_run(names: tuple[str, ...], rows: Sequence[Row]) -> Iterator[Titled]:
    ordered = sorted(rows, key=lambda row: tuple(map(str, row[-2:])))
    for (model, run), own in groupby(ordered, key=lambda row: row[-2:]):
        yield _table(names[:-2], [row[:-2] for row in own], str(model), f"run {run}")


def _table(names: Sequence[str], rows: Sequence[Row], title: str = "", about: str = "") -> Titled:
    values = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    if "layer" in values and "neuron" in values:
        pairs = zip(values.pop("layer"), values["neuron"], strict=True)
        values["neuron"] = [f"{layer}:{index}" for layer, index in pairs]
    if "n_langs" in values and "langs" in values:
        counted = zip(values.pop("n_langs"), values["langs"], strict=True)
        values["langs"] = [f"{n} {langs}" for n, langs in counted]
    if "neuron" in values and names[: len(_REPEATED)] == _REPEATED:
        values |= _without_repeats({name: values[name] for name in _REPEATED})
    return title, about, [_column(*column) for column in values.items()]


def _without_repeats(values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The same, with nothing where all of a row's values are those of the row before."""
    rows = list(zip(*values.values(), strict=True))
    blank = ("",) * len(values)
    kept = [blank if at and row == rows[at - 1] else row for at, row in enumerate(rows)]
    return dict(zip(values, map(list, zip(*kept, strict=True)), strict=True))


def _column(name: str, values: list[Any]) -> Column:
    if name == "support":
        texts = [UNKNOWN if share is None else f"{share:.0%}" for share in values]
        return Column(name, texts, right=True)
    if name.endswith("_value"):  # probabilities, some of them tiny
        texts = [UNKNOWN if p is None else f"{p:.2g}" for p in values]
        return Column(name, texts, right=True)
    bars = lengths(values) if name == "score" and is_numeric(values) else None
    right = is_numeric(values) or name == "neuron"
    return Column(_HEADS.get(name, name), column_texts(values), right, bars)
