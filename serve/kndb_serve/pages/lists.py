"""Lists: facts, neurons, relations, languages and runs."""

from __future__ import annotations

from kndb.store.result import Result
from kndb_serve.page import Choice, Form, Page, Slider, Table
from kndb_serve.view import View


def facts(view: View) -> Page:
    """All facts in one of their languages, or in all."""
    lang, relation = view.asked.text("lang"), view.asked.text("relation")
    some = view.some("facts")
    listed = view.remember(
        ("facts", lang, relation, *some.values()),
        lambda: view.db.facts(lang=lang, relation=relation, **some),
    )
    form = Form([relation_choice(view), lang_choice(view)])
    return Page("Facts", "list", [form, Table("facts", "Facts", listed, paged=True)])


def neurons(view: View) -> Page:
    """Knowledge neurons of a run, those of the most facts first."""
    asked = view.asked
    layer = asked.whole("layer", -1, 0, 10_000)
    some = view.some("neurons")
    key = (
        "neurons",
        *some.values(),
        asked.text("run"),
        view.tau,
        view.share,
        asked.text("lang"),
        asked.text("relation"),
        layer,
    )
    listed = view.remember(
        key,
        lambda: view.db.neurons(
            layer=None if layer < 0 else layer,
            relation=asked.text("relation"),
            lang=asked.text("lang"),
            run=view.run.run_id,
            tau=view.tau,
            share=view.share,
            **some,
        ),
    )
    fields: list[Choice | Slider] = [
        view.run_choice(),
        relation_choice(view),
        lang_choice(view),
        *view.sliders(view.run),
    ]
    table = Table(
        "neurons",
        "Knowledge neurons",
        listed,
        hidden=("model", "run_id"),
        bars=("n_facts",),
        paged=True,
    )
    return Page("Neurons", "list", [Form(fields, live=True), table])


def relations(view: View) -> Page:
    """All relations."""
    listed = view.remember("relations", view.db.relations)
    return Page("Relations", "list", [Table("relations", "Relations", listed, bars=("facts",))])


def languages(view: View) -> Page:
    """All languages."""
    listed = view.remember("languages", view.db.languages)
    return Page("Languages", "list", [Table("languages", "Languages", listed, bars=("facts",))])


def runs(view: View) -> Page:
    """All runs."""
    table = Table("runs", "Runs", view.remember("run list", view.db.runs))
    return Page("Runs", "list", [table])


def run(view: View, key: str) -> Page:
    """One run, with all there is to know of it."""
    found = view.db.run(key)
    (row,) = found.to_dicts()
    shown = {name.replace("_", " "): str(value) for name, value in row.items() if value is not None}
    rows = Result(("name", "value"), ("VARCHAR", "VARCHAR"), list(shown.items()))
    title = row["name"] or f"{row['model']} on {row['dataset']}"
    return Page(title, "run", [Table("run", "All of it", rows)])


def lang_choice(view: View) -> Choice:
    """The field that chooses a language."""
    listed = view.remember("languages", view.db.languages)
    options = [("", "all"), *((row["lang"], row["lang"]) for row in listed.to_dicts())]
    return Choice("lang", "Language", options, view.asked.text("lang") or "")


def relation_choice(view: View) -> Choice:
    """The field that chooses a relation."""
    listed = view.remember("relations", view.db.relations)
    options = [
        (row["relation_id"], f"{row['label']} ({row['relation_id']})") for row in listed.to_dicts()
    ]
    return Choice(
        "relation", "Relation", [("", "all"), *options], view.asked.text("relation") or ""
    )
