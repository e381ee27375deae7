"""A relation: its facts, how well the model knows them, and what their neurons share."""

from __future__ import annotations

from kndb_serve.page import Form, Page, Table
from kndb_serve.pages.lists import lang_choice
from kndb_serve.pages.summary import summary
from kndb_serve.view import View


def relation(view: View, key: str) -> Page:
    """The relation of an id or a label.

    Raises:
        NotFound: there is none.
    """
    lang = view.asked.text("lang")
    facts = view.remember(("facts", lang, key), lambda: view.db.facts(relation=key, lang=lang))
    parts = [
        Form([view.run_choice(), lang_choice(view), *view.sliders(view.run)], live=True),
        *summary(view, relation=key),
        Table("facts", "Facts", facts, hidden=["relation"]),
    ]
    label = facts.to_dicts()[0]["relation"]
    about = {"facts": len({row["fact_key"] for row in facts.to_dicts()}), "model": view.run.model}
    return Page(label, "relation", parts, "", about, {"Graph": view.link("graph", relation=key)})
