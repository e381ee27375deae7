"""A fact: its prompts and neurons in every language, what these share, and what was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kndb.store.result import Result
from kndb.store.runs import StoredRun
from kndb_serve.charts.strip import layer_strip
from kndb_serve.page import Chart, Form, Page, Part, Table
from kndb_serve.view import View, found_or

_ANSWERS = ("subject", "n_answer_tokens")


def fact(view: View, key: str) -> Page:
    """The fact of a key; of several data sets, in the newest run of any."""
    labels = view.db.facts(key).to_dicts()
    key = labels[0]["fact_key"]
    labels = [row for row in labels if row["fact_key"] == key]
    datasets = {row["dataset"] for row in labels}
    runs = [run for run in view.runs if run.dataset in datasets]
    main = next((row for row in labels if row["lang"] == "en"), labels[0])
    about = {
        "key": key,
        "relation": main["relation"],
        "languages": len({row["lang"] for row in labels}),
    }
    if not runs and view.asked.text("run") is None:
        table = Table("labels", "Languages", view.db.facts(key))
        return Page(main["subject"], "fact", [table], "No run has asked for this fact.", about)
    run = view.run_among(runs)
    parts = [
        Form([view.run_choice(runs), *view.sliders(run)], live=True),
        *_neurons(view, key, run),
        *_answers(view, key, run),
        *_shared(view, key, run),
        *_degenerate(view, key, run),
        *_edits(view, key),
    ]
    return Page(
        f"{main['subject']} — {main['answer']}", f"fact · {main['relation']}", parts, "", about
    )


def _neurons(view: View, key: str, run: StoredRun) -> list[Part]:
    rows, why = found_or(lambda: view.db.query(fact=key, **view.asking(run)))
    table = Table(
        "neurons",
        "Neurons by language",
        side_by_side(rows),
        "Mean scores. Marked neurons recall the fact in several languages.",
        empty=why,
        heads={"n_langs": "languages"},
        hidden=("langs", "shared"),
        marks="shared",
    )
    scores = view.db.layer_scores(key, run.run_id)
    strip: list[Part] = []
    if scores:
        strip = [
            Chart(
                "Scores over layers",
                partial(layer_strip, scores, run.n_layers),
                "Sum of the raw scores in each layer, mean over prompts; darker is higher.",
                "layers",
            )
        ]
    by_layer = Table(
        "layers", "Scores by layer", scores, empty="Imported neurons have no scores.", folded=True
    )
    return [table, *strip, by_layer]


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


def _answers(view: View, key: str, run: StoredRun) -> list[Part]:
    rows = view.db.answers(key, run.run_id)
    about = f"What {run.model} answers; the rank of its first choice is 1."
    return [Table("prompts", "Prompts", rows, about, hidden=_ANSWERS)]


def _shared(view: View, key: str, run: StoredRun) -> Sequence[Part]:
    rows, why = found_or(lambda: view.db.overlap(by="language-pair", fact=key, **view.asking(run)))
    return [
        Table(
            "overlap",
            "Shared by pairs of languages",
            rows,
            "Against random sets of the same sizes: how many they would share, and how probable "
            "it is to share at least as many.",
            empty=why,
            hidden=("n_facts", "model", "run_id", "q_value", "n_significant", "note"),
        )
    ]


def _degenerate(view: View, key: str, run: StoredRun) -> list[Part]:
    rows, why = found_or(lambda: view.db.degenerate(fact=key, run=run.run_id))
    return [
        Table(
            "degenerate",
            "Degenerate sets",
            rows,
            "Neurons that stand in for each other: the answer survives the loss of each part of a "
            "set, not of the whole.",
            empty=why,
            hidden=("fact_key", "relation"),
            bars=("drop_share",),
        )
    ]


def _edits(view: View, key: str) -> list[Part]:
    ledger = view.remember("edits", view.db.edits)
    rows = [row for row in ledger if row[ledger.columns.index("fact_key")] == key]
    found = Result(ledger.columns, ledger.types, rows)
    return [
        Table(
            "edits",
            "Edits",
            found,
            empty="The fact has not been edited.",
            hidden=("fact_key", "subject"),
        )
    ]
