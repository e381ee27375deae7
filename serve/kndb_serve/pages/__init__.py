"""The pages, each a function from a ``View`` to a ``Page``. They call the library, no SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kndb.store.sandbox import Workers
from kndb_serve.asked import LONGEST
from kndb_serve.judge import Judge
from kndb_serve.page import Page
from kndb_serve.pages.claims import claims
from kndb_serve.pages.compare import compare
from kndb_serve.pages.edits import edit, edits
from kndb_serve.pages.fact import fact
from kndb_serve.pages.graph import graph
from kndb_serve.pages.language import language
from kndb_serve.pages.layers import layers
from kndb_serve.pages.lists import facts, languages, neurons, relations, run, runs
from kndb_serve.pages.neuron import neuron
from kndb_serve.pages.relation import relation
from kndb_serve.pages.search import search, suggest
from kndb_serve.pages.sql import MOST_SQL, sql_page


@dataclass(frozen=True)
class Made:
    """How a page is made.

    Attributes:
        make: the function; takes the view, and the key if the page has one.
        params: the parameters it has, beside those of every page.
        keyed: whether its address has a key: ``/fact/KEY``.
        longest: characters of a parameter.
    """

    make: Callable[..., Page]
    params: tuple[str, ...] = ("run",)
    keyed: bool = False
    longest: int = LONGEST


PAGES: dict[str, Made] = {
    "search": Made(search, ("q", "run")),
    "suggest": Made(suggest, ("q",)),
    "facts": Made(facts, ("run", "lang", "relation")),
    "fact": Made(fact, ("run", "tau", "share"), keyed=True),
    "neurons": Made(neurons, ("run", "tau", "share", "lang", "relation", "layer")),
    "neuron": Made(neuron, ("run", "tau", "share"), keyed=True),
    "relations": Made(relations),
    "relation": Made(relation, ("run", "tau", "share", "lang"), keyed=True),
    "languages": Made(languages),
    "language": Made(language, ("run", "tau", "share"), keyed=True),
    "layers": Made(layers, ("run", "relation", "lang", "colour")),
    "graph": Made(graph, ("fact", "relation", "neuron", "run")),
    "compare": Made(compare, ("a", "b")),
    "edits": Made(edits, ("run",)),
    "edit": Made(edit, ("run",), keyed=True),
    "runs": Made(runs, ("run",)),
    "run": Made(run, ("run",), keyed=True),
}
"""The pages by the first part of their address."""

LEFT_OUT = {
    "claims": "Claims cannot be checked: the server was started without a model; start it with "
    "`kndb serve --model MODEL`.",
    "sql": "Queries in SQL are not answered: the server was started with `--no-sql`.",
}
"""Why there is no such page, where the server was not asked to have it."""


def pages(workers: Workers | None = None, judge: Judge | None = None) -> dict[str, Made]:
    """The pages of a site by the first part of their address.

    Args:
        workers: what runs queries in SQL; without them, there is no page for such queries.
        judge: what checks claims; without it, there is no page for them.
    """
    found = dict(PAGES)
    if judge is not None:
        found["claims"] = Made(partial(claims, judge), ("claim", "lang"))
    if workers is not None:
        found["sql"] = Made(partial(sql_page, workers), ("q",), longest=MOST_SQL)
    return found
