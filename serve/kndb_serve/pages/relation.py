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
    some = view.some("facts")
    facts = view.remember(
        ("facts", lang, key, *some.values()),
        lambda: view.db.facts(relation=key, lang=lang, **some),
    )
    parts = [
        Form([view.run_choice(), lang_choice(view), *view.sliders(view.run)], live=True),
        *summary(view, relation=key),
        Table("facts", "Facts", facts, hidden=["relation"], paged=True),
    ]
    label = facts.to_dicts()[0]["relation"]
    counts = view.remember("relations", view.db.relations).to_dicts()
    n_facts = sum(row["facts"] for row in counts if row["label"] == label)
    about = {"facts": n_facts, "model": view.run.model}
    return Page(label, "relation", parts, "", about, {"Graph": view.link("graph", relation=key)})
