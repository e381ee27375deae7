"""The rows of ``kndb query`` as a table for people. Imported only when a table is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from kndb_cli.output.rows import Rows
from kndb_cli.output.tables import GAP, column_cells, empty_table

# The columns that every table of neurons ends in, and a width for their usual values.
_NUMBERS = (("neuron", 8), ("score", 7), ("support", 7), ("langs", 5))

_TEXTS = ("fact", "lang", "subject", "answer")
_HEADS = (*_TEXTS, *(name for name, _ in _NUMBERS))

_LANGS_SHOWN = 6


class _Row(NamedTuple):
    run: tuple[str, int]  # the model's name and the run's id
    fact: str
    lang: str
    subject: str
    answer: str
    numbers: tuple[Text, ...]  # as _NUMBERS


def neuron_table(found: Rows) -> RenderableType:
    """A table for each run; what a fact's rows have in common is said once.

    Where the width does not allow it, each fact and language gets a line of its own instead.
    """
    rows = sorted(_rows(found), key=lambda row: row.run)
    parts: list[RenderableType] = []
    for (model, run), of_run in groupby(rows, key=lambda row: row.run):
        title = Text.assemble((model, "bold cyan"), (f"  run {run}", "dim"))
        parts += [title, _Fitting(list(of_run)), Text()]
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
    texts = (at[name] for name in ("fact_key", "lang", "subject", "answer"))
    return [_Row(*values) for values in zip(runs, *texts, numbers, strict=True)]


def _langs(count: int, names: str) -> Text:
    """How many languages, and the first few of them."""
    shown = names.split(",")[:_LANGS_SHOWN]
    more = ",…" if count > len(shown) else ""
    return Text(f"{count}  {','.join(shown)}{more}", style="green" if count > 1 else "")


class _Fitting:
    """The neurons of one run, wide or narrow."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fits = _least_width(self._rows) <= options.max_width
        yield _wide(self._rows) if fits else Group(*_narrow(self._rows))


def _least_width(rows: Iterable[_Row]) -> int:
    """How wide the wide table is when subjects and answers break between words only.

    Rich can measure it too, and takes as long for that as for the drawing.
    """
    widths = [
        max(map(cell_len, column)) for column in zip(_HEADS, *map(_unbroken, rows), strict=True)
    ]
    return sum(widths) + GAP * (len(widths) - 1)


def _unbroken(row: _Row) -> tuple[str, ...]:
    subject, answer = (max(text.split(), key=cell_len, default="") for text in row[3:5])
    return (row.fact, row.lang, subject, answer, *(text.plain for text in row.numbers))


def _wide(rows: Iterable[_Row]) -> Table:
    table = empty_table()
    for name in _TEXTS:
        table.add_column(name, no_wrap=name in ("fact", "lang"))
    for name, _ in _NUMBERS:
        table.add_column(name, justify=_justified(name), no_wrap=True)
    before = ("",) * 4
    for row in rows:
        key = (row.fact, row.lang, row.subject, row.answer)
        table.add_row(*map(Text, _what_is_new(before, key)), *row.numbers)
        before = key
    return table


def _justified(name: str) -> Literal["left", "right"]:
    return "left" if name == "langs" else "right"


def _what_is_new(before: Sequence[Any], key: Sequence[str]) -> Sequence[str]:
    if before == key:
        return ("",) * len(key)
    return ("", *key[1:]) if before[0] == key[0] else key


def _narrow(rows: Iterable[_Row]) -> Iterator[RenderableType]:
    for head, of_head in groupby(rows, key=lambda row: row[1:5]):
        fact, lang, subject, answer = head
        yield Text.assemble((fact, "bold"), f" {lang} {subject} → {answer}")
        table = Table.grid(padding=(0, 2))
        for name, width in _NUMBERS:
            table.add_column(justify=_justified(name), min_width=width)
        table.add_row(*(Text(name, style="dim") for name, _ in _NUMBERS))
        for row in of_head:
            table.add_row(*row.numbers)
        yield table
