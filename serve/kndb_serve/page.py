"""A page as plain data: what it says, in parts. Draws nothing and knows no request.

>>> Page("Benin", "fact", (Table("facts", "Facts", Result(("n",), ("BIGINT",), [(1,)])),)).tables
{'facts': <Result: 1 rows of n>}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from kndb.store.result import Result

SHORT = 50
"""Rows of a table on a page unless it is asked for more."""


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        name: what it is called in JSON and in addresses: ``neurons``.
        title: its heading.
        rows: its rows.
        about: a sentence below the heading.
        empty: what is said instead where there are no rows.
        heads: headings of columns, where they differ from the columns' names.
        hidden: columns that HTML leaves out.
        bars: columns of numbers that have bars.
        marks: a column of booleans; rows where it is true are marked.
        link: the address of a row's first cell, from the row; by default cells link themselves.
        folded: shown only when opened.
        short: rows on the page unless it is asked for more.
        half: whether it needs only half of a wide page.
        paged: whether ``rows`` are only those that the request asks for, from ``View.some``.
    """

    name: str
    title: str
    rows: Result
    about: str = ""
    empty: str = "There is nothing here."
    heads: Mapping[str, str] = field(default_factory=dict)
    hidden: Sequence[str] = ()
    bars: Sequence[str] = ()
    marks: str | None = None
    link: Callable[[dict[str, Any]], str | None] | None = None
    folded: bool = False
    short: int = SHORT
    half: bool = False
    paged: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Attributes:
        title: its heading.
        draw: makes the SVG; called for HTML only.
        about: a sentence on how to read it.
        data: the name of the table with its numbers, for those who do not see it.
        half: whether it needs only half of a wide page.
    """

    title: str
    draw: Callable[[], Markup]
    about: str = ""
    data: str = ""
    half: bool = False


@dataclass(frozen=True)
class Choice:
    """A field of a form: one of several values.

    Attributes:
        name: the parameter.
        label: what people read.
        options: values with their texts; the empty value is the default.
        value: the chosen one.
    """

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    value: str


@dataclass(frozen=True)
class Slider:
    """A field of a form: a number.

    Attributes:
        name: the parameter.
        label: what people read.
        low, high, step: its range.
        value: the number.
        default: the number without the parameter.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    default: float


@dataclass(frozen=True)
class Text:
    """A field of a form: text of several lines, which is code.

    Attributes:
        name: the parameter.
        label: what people read.
        value: the text.
        most: characters that it may have.
    """

    name: str
    label: str
    value: str
    most: int


@dataclass(frozen=True)
class Line:
    """A field of a form: a sentence.

    Attributes:
        name: the parameter.
        label: what people read.
        value: the sentence.
        example: shown while there is none.
    """

    name: str
    label: str
    value: str
    example: str


Field = Choice | Slider | Text | Line


@dataclass(frozen=True)
class Form:
    """Fields that change the page's parameters; it works without scripts.

    Attributes:
        fields: in order.
        live: whether the page follows a slider at once, where scripts run.
        verb: what its button says.
    """

    fields: Sequence[Field]
    live: bool = False
    verb: str = "Apply"


@dataclass(frozen=True)
class Card:
    """A thing worth looking at: a number or name, what it is, and where it leads."""

    head: str
    text: str
    href: str


@dataclass(frozen=True)
class Cards:
    """Several cards."""

    title: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Note:
    """A sentence; ``alert`` if it says what went wrong."""

    text: str
    alert: bool = False


@dataclass(frozen=True)
class Outline:
    """Names in groups that open: the tables of a database with their columns.

    Attributes:
        title: its heading.
        groups: for each group its name, a sentence on it, and its entries: name, kind, sentence.
    """

    title: str
    groups: Sequence[tuple[str, str, Sequence[tuple[str, str, str]]]]


Part = Table | Chart | Form | Cards | Note | Outline


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: its heading.
        kind: what it is: ``fact``; the small heading above the title.
        parts: from top to bottom. The first table is the page's CSV.
        lead: a sentence below the title.
        facts: names with short values, below it.
        links: other pages about the same, with their addresses.
        aside: parts beside the others, where there is room.
        status: of HTTP.
        scripts: files that improve it, below ``static``.
        graph: makes its graph as GraphML.
    """

    title: str
    kind: str
    parts: Sequence[Part] = ()
    lead: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    aside: Sequence[Part] = ()
    status: int = 200
    scripts: Sequence[str] = ()
    graph: Callable[[], bytes] | None = None

    @property
    def tables(self) -> dict[str, Result]:
        """The rows of its tables, by name."""
        return {part.name: part.rows for part in self.parts if isinstance(part, Table)}
