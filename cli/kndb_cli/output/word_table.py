"""The rows of ``kndb query --words`` as tables for people. Imported only when they are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from rich.console import Group, RenderableType
from rich.text import Text

from kndb.cells import column_texts
from kndb.html_table import Column, lengths
from kndb.text_table import BarTable
from kndb_cli.output.rows import Rows

_HEAD = ("model", "run_id", "fact_key", "lang", "text", "answer", "p_answer")


def word_table(found: Rows) -> RenderableType:
    """A table for each prompt, with bars as ``Attribution.show`` draws them."""
    return Group(*_parts(found))


def _parts(found: Rows) -> Iterator[RenderableType]:
    at = {name: place for place, name in enumerate(found.columns)}
    heading = itemgetter(*(at[name] for name in _HEAD))
    run = None
    for head, rows in groupby(found.rows(), key=heading):
        model, run_id, fact, lang, text, answer, p = head
        if run is not None:
            yield Text()
        if run != (run := (model, run_id)):
            yield Text.assemble((model, "bold cyan"), (f"  run {run_id}", "dim"))
        yield Text.assemble((fact, "bold"), f" {lang} {text} → {answer}", (f"  p {p:.4f}", "dim"))
        each = [(row[at["word"]], row[at["contribution"]]) for row in rows]
        words, values = zip(*each, strict=True)
        numbers = Column("contribution", column_texts(values), True, lengths(values))
        yield BarTable([Column("word", words), numbers])
