"""A language: its facts, how well the model knows them, and what it shares with the others."""

from __future__ import annotations

from kndb.errors import NotFound
from kndb_serve.page import Form, Page, Table
from kndb_serve.pages.summary import summary
from kndb_serve.view import View


def language(view: View, key: str) -> Page:
    """The language of a code.

    Raises:
        NotFound: there is none.
    """
    known = [row["lang"] for row in view.remember("languages", view.db.languages).to_dicts()]
    lang = next((one for one in known if one.lower() == key.lower()), None)
    if lang is None:
        raise NotFound(f"There is no language {key!r:.40}.", known, "Languages")
    some = view.some("facts")
    facts = view.remember(
        ("facts", lang, None, *some.values()), lambda: view.db.facts(lang=lang, **some)
    )
    parts = [
        Form([view.run_choice(), *view.sliders(view.run)], live=True),
        *summary(view, lang=lang),
        Table("facts", "Facts", facts, hidden=["lang"], paged=True),
    ]
    return Page(lang, "language", parts, facts={"facts": facts.total, "model": view.run.model})
