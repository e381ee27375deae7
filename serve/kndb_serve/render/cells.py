"""A table's cells as HTML: numbers aligned, names linked, everything escaped.

What a column is about is known by its name, which is the same in all of the library's results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from markupsafe import Markup, escape

from kndb.cells import UNKNOWN, column_texts, is_numeric, visible
from kndb_serve.asked import MOST_ROWS, Asked, address
from kndb_serve.page import Table
from kndb_serve.render.rows import Shown, shown

Row = dict[str, Any]

HEADS = {
    "fact_key": "fact",
    "fact": "fact",
    "lang": "language",
    "langs": "languages",
    "n_facts": "facts",
    "n_relations": "relations",
    "n_langs": "languages",
    "n_neurons": "neurons",
    "n_shared": "shared",
    "n_union": "in any",
    "p_answer": "p(answer)",
    "p_value": "p-value",
    "q_value": "q-value",
    "relation_id": "id",
    "run_id": "run",
    "edit_id": "edit",
    "text": "prompt",
    "not_done": "not done",
    "score_error": "score error",
    "drop_share": "drop",
    "max_subset_drop": "largest drop of a part",
    "p_before": "p before",
    "p_after": "p after",
}
"""What people read instead of a column's name."""

_WORDY = ("text", "reason", "note")
"""Columns of sentences, which may break into lines."""


@dataclass(frozen=True)
class Head:
    """A column's heading: its text, the address that sorts by it, and how it is sorted."""

    text: str
    href: str
    right: bool
    sorted: str
    """``ascending``, ``descending`` or empty."""


@dataclass(frozen=True)
class Grid:
    """A table for the template."""

    table: Table
    part: Shown
    heads: Sequence[Head]
    rows: Sequence[tuple[str, Sequence[tuple[str, Markup]]]]
    """For each row its class, and its cells: class and content."""
    before: str
    """Address of the rows before; empty if there are none."""
    after: str
    all: str
    """Address of all rows, or as many as a page may have; empty if these are all."""


def grid(table: Table, asked: Asked) -> Grid:
    """The rows of a table that a request asks for, as HTML."""
    part = shown(table, asked)
    names = part.rows.columns
    left_out = _left_out(table)
    kept = [(at, name) for at, name in enumerate(names) if name not in left_out]
    dicts = part.rows.to_dicts()
    most = _most(table, part)
    columns = [_column(table, name, at, part, dicts, asked, most) for at, name in kept]
    marked = [bool(table.marks and row[table.marks]) for row in dicts]
    rows = [
        ("marked" if mark else "", cells)
        for mark, cells in zip(
            marked, zip(*(cells for _, cells in columns), strict=True), strict=True
        )
    ]
    size, first = asked.limit(table.short), part.first
    back = None if first <= size else f"{table.name}:{first - size}"
    return Grid(
        table,
        part,
        [head for head, _ in columns],
        rows,
        _to(table, asked, after=back) if first else "",
        "" if part.next is None else _to(table, asked, after=f"{table.name}:{part.next}"),
        _to(table, asked, after=None, limit=str(MOST_ROWS)) if size < MOST_ROWS else "",
    )


def _left_out(table: Table) -> set[str]:
    """Columns that are not shown: those without any value, and what another one says, too."""
    names = table.rows.columns
    left_out = {*table.hidden, table.marks or ""}
    if "layer" in names and "neuron" in names:  # shown as one: 2:641
        left_out.add("layer")
    if "n_langs" in names and "langs" in {*names} - left_out:
        left_out.add("n_langs")
    rows = table.rows.rows()
    if rows:
        left_out |= {name for at, name in enumerate(names) if all(row[at] is None for row in rows)}
    return left_out


def _to(table: Table, asked: Asked, **changes: str | None) -> str:
    return asked.url(**changes) + f"#{table.name}"


def _column(
    table: Table, name: str, at: int, part: Shown, rows: list[Row], asked: Asked, most: float
) -> tuple[Head, list[tuple[str, Markup]]]:
    values = [row[at] for row in part.rows]
    numeric = is_numeric(values) and not _is_id(name)
    right = numeric
    descending = part.column == name and part.descending
    # The first click on a number sorts from the largest.
    turned = not descending if part.column == name else numeric
    other = f"{table.name}:{'-' if turned else ''}{name}"
    head = Head(
        table.heads.get(name, head_of(name)),
        _to(table, asked, sort=other, after=None),
        right,
        "" if part.column != name else "descending" if descending else "ascending",
    )
    texts = texts_of(name, values)
    keep = {"run": asked.text("run")}
    linked = table.link if table.link is not None and at == 0 else None
    barred = name in table.bars and numeric and most
    cells = []
    for place, (row, text) in enumerate(zip(rows, texts, strict=True)):
        href = linked(row) if linked else None
        content = _cell(name, row, text, href, keep)
        if barred and values[place] is not None:
            content = _barred(values[place] / most, content)
        kind = "n" if right else "t" if name in _WORDY else ""
        cells.append((kind, content))
    return head, cells


def _most(table: Table, part: Shown) -> float:
    """The largest number that has a bar: all bars of a table have one scale."""
    at = [place for place, name in enumerate(part.rows.columns) if name in table.bars]
    numbers = [row[place] for row in part.rows for place in at]
    return max((abs(x) for x in numbers if isinstance(x, int | float)), default=0)


def texts_of(name: str, values: Sequence[Any]) -> list[str]:
    """A column's values as text. Probabilities of chance span orders of magnitude."""
    if name in ("p_value", "q_value"):
        return [UNKNOWN if value is None else f"{value:.2g}" for value in values]
    whole = all(type(value) in (int, NoneType) for value in values)
    if whole and not (name in _PLACES or _is_id(name)):
        return [UNKNOWN if value is None else _grouped(value) for value in values]
    if any(isinstance(value, list) for value in values):
        return [", ".join(map(str, value or ())) for value in values]
    return column_texts(values)


def _grouped(number: int) -> str:
    """A number in groups of three digits, from five digits on: a year is no count."""
    return str(number) if abs(number) < 10_000 else f"{number:,}"


_PLACES = ("layer", "neuron")
"""Columns of whole numbers that count nothing."""


def _is_id(name: str) -> bool:
    return name.endswith("_id")


def _cell(name: str, row: Row, text: str, href: str | None, keep: dict[str, str | None]) -> Markup:
    value = row[name]
    if value is None:
        return Markup('<span class="none">{}</span>').format(UNKNOWN)
    if href is not None:
        return _link(href, own(text, row.get("lang")))
    if name == "neuron" and "layer" in row:
        neuron = f"{row['layer']}:{value}"
        return _link(address("neuron", neuron, keep), escape(neuron))
    if name in _SEVERAL and isinstance(value, str):
        parts = [part for part in text.split(",") if part]
        links = [_link(address(_SEVERAL[name], part, keep), own(part)) for part in parts]
        return Markup(" ").join(links)
    if (link := _LINKS.get(name)) is not None:
        return _link(address(*link(row), keep), own(text))
    return own(text, row.get("lang"))


_SEVERAL = {"neurons": "neuron", "langs": "language", "largest_clique": "neuron"}
"""Columns with several names, with commas, and the pages of each."""

_LINKS: dict[str, Callable[[Row], tuple[str, object]]] = {
    "fact_key": lambda row: ("fact", row["fact_key"]),
    "relation": lambda row: ("relation", row.get("relation_id") or row["relation"]),
    "relation_id": lambda row: ("relation", row["relation_id"]),
    "lang": lambda row: ("language", row["lang"]),
    "edit_id": lambda row: ("edit", row["edit_id"]),
    "run_id": lambda row: ("run", row["run_id"]),
}


def own(text: object, lang: object = None) -> Markup:
    r"""A text of the data: escaped, its direction its own, and control characters visible.

    >>> own("<b>\u202e")
    Markup('<bdi>&lt;b&gt;\\u202e</bdi>')
    >>> own("巴黎", "zh")
    Markup('<bdi lang="zh">巴黎</bdi>')
    """
    # By hand: Markup.format would take a third of a page's time.
    seen = escape(visible(str(text)))
    if _LANGUAGE.fullmatch(str(lang or "")):
        return Markup(f'<bdi lang="{lang}">{seen}</bdi>')
    return Markup(f"<bdi>{seen}</bdi>")


_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
"""What browsers and screen readers take for a language's code."""


def sentence(text: object) -> Markup:
    """A sentence; what is between backticks is code.

    >>> sentence("`kndb ingest` makes <b>one</b>.")
    Markup('<bdi><code>kndb ingest</code> makes &lt;b&gt;one&lt;/b&gt;.</bdi>')
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(own(text))))


_CODE = re.compile("`([^`<>]+)`")


def head_of(name: str) -> str:
    """What people read instead of a column's name."""
    return HEADS.get(name, name.replace("_", " "))


def _link(href: str, content: Markup) -> Markup:
    return Markup(f'<a href="{escape(href)}">{escape(content)}</a>')


def _barred(length: float, number: Markup) -> Markup:
    """A bar before a number; its length from -1 to 1."""
    width = f"{60 * abs(length):.1f}"
    kind = "bar" if length >= 0 else "bar below"
    return Markup(
        '<span class="barred"><svg class="{}" width="60" height="8" aria-hidden="true">'
        '<rect width="{}" height="8" rx="1"/></svg>{}</span>'
    ).format(kind, width, number)
