"""A fact: its prompts and neurons in every language, what these share, and what was done to it."""

from __future__ import annotations

from functools import partial
from typing import Any

from kndb.store.result import Result
from kndb.store.runs import StoredRun
from kndb_serve.charts.strip import layer_strip
from kndb_serve.page import Chart, Form, Page, Part, Table
from kndb_serve.pages.groups import drawn_groups
from kndb_serve.view import View, found_or

_FEW = 6
"""Languages whose scores have bars."""


def fact(view: View, key: str) -> Page:
    """The fact of a key, or the first one that a name finds; in the newest run over its data.

    Raises:
        NotFound: there is none.
    """
    listed = view.db.facts(key)
    labels = [row for row in listed.to_dicts() if row["fact_key"] == listed.rows()[0][0]]
    main = next((row for row in labels if row["lang"] == "en"), labels[0])
    title = f"{main['subject']} → {main['answer']}"
    about = {"key": main["fact_key"], "relation": main["relation"], "languages": len(labels)}
    runs = _runs(view, {row["dataset"] for row in labels})
    if not runs and view.asked.text("run") is None:
        table = Table("labels", "Languages", listed)
        return Page(title, "fact", [table], "No run has asked for this fact.", about)
    run = view.run_among(runs)
    key = main["fact_key"]
    neurons, why = found_or(lambda: view.db.query(fact=key, **view.asking(run)))
    parts: list[Part] = [
        Form([view.run_choice(runs, run), *view.sliders(run)], live=True),
        _neurons(neurons, why),
        *_layers(view, key, run),
        _answers(view, key, run),
        *_degenerate(view, key, run),
        *_shared(view, key, run),
        _edits(view, key),
    ]
    links = {"Graph": view.link("graph", fact=key)} if neurons else {}
    return Page(title, "fact", parts, _lead(view, key, run, neurons), about, links)


def _runs(view: View, datasets: set[str]) -> list[StoredRun]:
    return [run for run in view.runs if run.dataset in datasets]


def _lead(view: View, key: str, run: StoredRun, neurons: Result) -> str:
    """What was found, in a sentence."""
    rows = neurons.to_dicts()
    every = {(row["layer"], row["neuron"]): row["n_langs"] for row in rows}
    n_langs = len({row["lang"] for row in rows})
    if n_langs < 2:
        return f"{run.model} recalls it with {len(every):,} neurons." if every else ""
    several = sum(shared > 1 for shared in every.values())
    said = (
        f"{run.model} recalls it with {len(every):,} neurons in {n_langs} languages; {several} "
        "are shared by several"
    )
    overlap, _ = found_or(lambda: view.db.overlap(by="fact", fact=key, **view.asking(run)))
    for row in overlap.to_dicts():
        if row["p_value"] is not None:
            if not row["n_shared"]:
                return f"{said}, none by all."
            return (
                f"{said}, {row['n_shared']} by all ({row['expected']:.2g} expected by chance, "
                f"p = {row['p_value']:.2g})."
            )
    return f"{said}."


def _neurons(found: Result, why: str) -> Table:
    rows = side_by_side(found)
    langs = rows.columns[5:]
    return Table(
        "neurons",
        "Neurons by language",
        rows,
        "Mean scores. Marked neurons recall the fact in several languages.",
        empty=why,
        hidden=("langs", "shared"),
        bars=langs if len(langs) <= _FEW else (),
        marks="shared",
        short=12,
        half=len(langs) <= 3,
    )


def side_by_side(found: Result) -> Result:
    """Rows of ``Database.query`` about one fact as one row per neuron, with a column per language.

    Columns ``layer, neuron, n_langs, langs, shared`` and then the score in each language; a neuron
    without scores, as imported ones are, has 1 where it belongs to the fact.
    """
    rows = found.to_dicts()
    langs = sorted({row["lang"] for row in rows})
    neurons: dict[tuple[int, int], dict[str, float]] = {}
    known: dict[tuple[int, int], tuple[int, str]] = {}
    for row in rows:
        neuron = (row["layer"], row["neuron"])
        neurons.setdefault(neuron, {})[row["lang"]] = 1.0 if row["score"] is None else row["score"]
        known[neuron] = (row["n_langs"], row["langs"])
    ordered = sorted(neurons, key=lambda at: (-len(neurons[at]), -sum(neurons[at].values()), at))
    return Result(
        ("layer", "neuron", "n_langs", "langs", "shared", *langs),
        ("SMALLINT", "INTEGER", "BIGINT", "VARCHAR", "BOOLEAN", *("DOUBLE" for _ in langs)),
        [
            (*at, *known[at], known[at][0] > 1, *(neurons[at].get(lang) for lang in langs))
            for at in ordered
        ],
    )


def _layers(view: View, key: str, run: StoredRun) -> list[Part]:
    scores = view.db.layer_scores(key, run.run_id)
    if not scores:
        return []
    draw = partial(layer_strip, scores, run.n_layers)
    about = "Sum of the raw scores in each layer, mean over prompts; stronger colour is higher."
    return [
        Chart("Scores over layers", draw, about, "layers", half=True),
        Table("layers", "Scores by layer", scores, folded=True, half=True),
    ]


def _answers(view: View, key: str, run: StoredRun) -> Table:
    return Table(
        "prompts",
        "Prompts",
        view.db.answers(key, run.run_id),
        f"What {run.model} answers; the rank of its first choice is 1.",
        hidden=("subject", "n_answer_tokens", "reason"),
        short=20,
    )


def _shared(view: View, key: str, run: StoredRun) -> list[Part]:
    asked: dict[str, Any] = {"fact": key, **view.asking(run)}
    rows, why = found_or(lambda: view.db.overlap(by="language-pair", **asked))
    return [
        Table(
            "overlap",
            "Shared by pairs of languages",
            rows,
            "Beside what random sets of the same sizes would share, and the chance that they "
            "share as many.",
            empty=why,
            hidden=("n_facts", "model", "run_id", "q_value", "n_significant", "note"),
            half=True,
        )
    ]


def _degenerate(view: View, key: str, run: StoredRun) -> list[Part]:
    rows, why = found_or(lambda: view.db.degenerate(fact=key, run=run.run_id))
    table = Table(
        "degenerate",
        "Degenerate sets",
        rows,
        "Neurons that stand in for each other: the answer survives the loss of each part of a "
        "set, not of the whole.",
        empty=why,
        hidden=("fact_key", "relation"),
        bars=["drop_share"],
        short=12,
        half=True,
    )
    if not rows:
        return [table]
    groups, _ = found_or(lambda: view.db.groups(fact=key, run=run.run_id))
    return [table, *drawn_groups(view, groups, rows)]


def _edits(view: View, key: str) -> Table:
    ledger = view.remember("edits", view.db.edits)
    rows = [row for row in ledger if row[0] == key]
    hidden = ("fact_key", "subject", "relation", "selection", "reason")
    found = Result(ledger.columns, ledger.types, rows)
    return Table("edits", "Edits", found, empty="It has not been edited.", hidden=hidden)
