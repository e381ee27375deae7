"""The rows of ``kndb query`` as a table for people. Imported only when a table is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kndb_cli.output.fitting import Column, Fitting
from kndb_cli.output.rows import Rows
from kndb_cli.output.tables import column_cells

# The last columns of every table of neurons, and a width for their usual values.
_NUMBERS = (("neuron", 8), ("score", 7), ("support", 7), ("langs", 5))

_TEXTS = ("fact", "relation", "lang", "subject", "answer")

_LONGEST_KEY = 20
"""Longer keys, such as those with a uuid, are shown as people type them: ``P36:France``."""

_LANGS_SHOWN = 6


class _Row(NamedTuple):
    run: tuple[str, int]  # the model's name and the run's id
    fact: str
    relation: str
    lang: str
    subject: str
    answer: str
    numbers: tuple[Text, ...]  # as _NUMBERS


def neuron_table(found: Rows) -> RenderableType:
    """A table for each run, without repeating what a fact's rows have in common.

    If it does not fit, each fact and language gets a heading of its own instead.
    """
    rows = sorted(_rows(found), key=lambda row: row.run)
    parts: list[RenderableType] = []
    for (model, run), of_run in groupby(rows, key=lambda row: row.run):
        title = Text.assemble((model, "bold cyan"), (f"  run {run}", "dim"))
        parts += [title, _fitting(list(of_run)), Text()]
    return Group(*parts[:-1])


def _rows(found: Rows) -> list[_Row]:
    at = {name: [row[place] for row in found.rows()] for place, name in enumerate(found.columns)}
    neurons = [
        Text(f"{layer}:{index}") for layer, index in zip(at["layer"], at["neuron"], strict=True)
    ]
    support = [Text("–" if share is None else f"{share:.0%}") for share in at["support"]]
    langs = [_langs(*each) for each in zip(at["n_langs"], at["langs"], strict=True)]
    numbers = zip(neurons, column_cells(at["score"]), support, langs, strict=True)
    runs = zip(at["model"], at["run_id"], strict=True)
    keys = map(_typed, at["fact_key"], at["subject"])
    texts = (at[name] for name in ("relation", "lang", "subject", "answer"))
    return [_Row(*values) for values in zip(runs, keys, *texts, numbers, strict=True)]


def _typed(key: str, subject: str) -> str:
    return key if len(key) <= _LONGEST_KEY else f"{key.partition(':')[0]}:{subject}"


def _langs(count: int, names: str) -> Text:
    """The number of languages, and the first few of them."""
    shown = names.split(",")[:_LANGS_SHOWN]
    more = ",…" if count > len(shown) else ""
    return Text(f"{count}  {','.join(shown)}{more}", style="green" if count > 1 else "")


def _fitting(rows: Sequence[_Row]) -> Fitting:
    """The neurons of one run: in the wide layout, without the relations, or in the narrow one."""
    texts = zip(*_without_repeats(rows), strict=True)
    columns = [
        Column(name, cells, breaks=name in ("subject", "answer"))
        for name, cells in zip(_TEXTS, texts, strict=True)
    ]
    numbers = zip(*(row.numbers for row in rows), strict=True)
    for (name, _), cells in zip(_NUMBERS, numbers, strict=True):
        columns.append(Column(name, cells, right=_justified(name) == "right", breaks=False))
    fewer = [column for column in columns if column.head != "relation"]
    narrow = Fitting(fewer, lambda: Group(*_narrow(rows)))
    return Fitting(columns, lambda: narrow, wraps=False)


def _without_repeats(rows: Iterable[_Row]) -> Iterator[list[Text]]:
    """The texts of each row, without those repeated from the row before."""
    before = ("",) * len(_TEXTS)
    for row in rows:
        key = (row.fact, row.relation, row.lang, row.subject, row.answer)
        yield list(map(Text, _what_is_new(before, key)))
        before = key


def _justified(name: str) -> Literal["left", "right"]:
    return "left" if name == "langs" else "right"


def _what_is_new(before: Sequence[Any], key: Sequence[str]) -> Sequence[str]:
    if before == key:
        return ("",) * len(key)
    return ("", "", *key[2:]) if before[:2] == key[:2] else key


def _narrow(rows: Iterable[_Row]) -> Iterator[RenderableType]:
    for head, of_head in groupby(rows, key=lambda row: row[1:6]):
        fact, relation, lang, subject, answer = head
        yield Text.assemble((fact, "bold"), f" {relation} {lang} {subject} → {answer}")
        table = Table.grid(padding=(0, 2))
        for name, width in _NUMBERS:
            table.add_column(justify=_justified(name), min_width=width)
        table.add_row(*(Text(name, style="dim") for name, _ in _NUMBERS))
        for row in of_head:
            table.add_row(*row.numbers)
        yield table
