"""The front page: one box for everything, what is in the file, and what is worth looking at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from kndb.errors import NotFound, UsageError
from kndb.store.result import Result
from kndb_serve.page import Card, Cards, Page, Table
from kndb_serve.view import NOTHING, View, found_or

_NEURON = re.compile(r"\s*(\d{1,5}):(\d{1,9})\s*")


def search(view: View) -> Page:
    """What matches ``q``; without it, what the database holds."""
    asked = view.asked.text("q")
    return _front(view) if asked is None else _found(view, asked)


def suggest(view: View) -> Page:
    """What completes ``q``: for the box, as JSON."""
    found = view.db.suggest(view.asked.text("q") or "", 8)
    return Page("Suggestions", "search", [Table("suggestions", "Suggestions", found)])


def _found(view: View, asked: str) -> Page:
    if match := _NEURON.fullmatch(asked):
        name = f"{int(match[1])}:{int(match[2])}"
        card = Card(name, "the neuron's facts, relations and neighbours", view.link("neuron", name))
        return Page(asked, "search", [Cards("Neuron", [card])])
    relations = _matching(view.remember("relations", view.db.relations), asked, (0, 1))
    languages = _matching(view.remember("languages", view.db.languages), asked, (0,), whole=True)
    try:
        facts = view.db.facts(asked, **view.some("facts"))
    except (NotFound, UsageError):
        if not (len(relations) or len(languages)):
            raise
        facts = NOTHING
    tables = [
        Table("facts", "Facts", facts, paged=True),
        Table("relations", "Relations", relations),
        Table("languages", "Languages", languages),
    ]
    return Page(asked, "search", [table for table in tables if len(table.rows)])


def _matching(listed: Result, asked: str, at: tuple[int, ...], *, whole: bool = False) -> Result:
    """The rows of a listing with a name that is, or contains, what is asked for."""
    word = asked.strip().lower()
    rows = [
        row
        for row in listed
        if any(word == row[i].lower() if whole else word in row[i].lower() for i in at)
    ]
    return Result(listed.columns, listed.types, rows)


def _front(view: View) -> Page:
    counts = view.remember("counts", lambda: _counts(view))
    runs = view.remember("run list", view.db.runs)
    parts: list[Table | Cards] = []
    if cards := view.remember(("cards", view.asked.text("run")), lambda: [*_cards(view)]):
        parts.append(Cards("Worth a look", cards))
    parts += [
        Table(
            "runs",
            "Runs",
            runs,
            hidden=("name", "kndb_version", "failed", "unknown", "started_at", "score_error"),
            empty="No model has been run yet; `kndb ingest` does.",
        ),
        Table("relations", "Relations", view.remember("relations", view.db.relations), half=True),
        Table("languages", "Languages", view.remember("languages", view.db.languages), half=True),
    ]
    lead = "Neurons with which language models recall facts."
    return Page(view.db.path.name, "database", parts, lead, counts)


def _counts(view: View) -> dict[str, int]:
    relations = view.remember("relations", view.db.relations)
    return {
        "facts": sum(row["facts"] for row in relations.to_dicts()),
        "relations": len(relations),
        "languages": len(view.remember("languages", view.db.languages)),
        "models": len(view.db.models()),
        "runs": len(view.runs),
        "edits": len(view.db.edits()),
    }


def _cards(view: View) -> Iterator[Card]:
    """Things worth looking at, found in the data of the newest run."""
    if not view.runs:
        return
    run = view.run.run_id
    shared, _ = found_or(lambda: view.db.most_shared(run, 1))
    for row in shared.to_dicts():
        text = (
            f"{row['relation']}: {row['answer']}. {row['n_shared']} neurons recall it in all of "
            f"{row['n_langs']} languages, more than any other fact."
        )
        yield Card(row["subject"], text, view.link("fact", row["fact_key"]))
    used, _ = found_or(lambda: view.db.neurons(run=run, limit=1))
    for row in used.to_dicts():
        name = f"{row['layer']}:{row['neuron']}"
        text = (
            f"the neuron of the most facts, {row['n_facts']:,}, of {row['n_relations']} relations."
        )
        yield Card(name, text, view.link("neuron", name))
    for searched in reversed(view.db.searches().to_dicts()):
        group, _ = found_or(partial(view.db.groups, run=searched["run_id"]))
        if group:
            row = group.to_dicts()[0]
            name = view.db.facts(row["fact_key"]).to_dicts()[0]["subject"]
            text = (
                f"{row['relation']}: the largest degenerate group, {row['size']} neurons in "
                f"{row['n_pairs']} pairs that stand in for each other."
            )
            link = view.link("fact", row["fact_key"], run=str(searched["run_id"]))
            yield Card(name, text, link)
            return
