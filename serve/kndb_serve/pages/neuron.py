"""A neuron: the facts, relations and languages that use it, and the neurons beside it."""

from __future__ import annotations

from collections import Counter

from kndb.errors import NotFound
from kndb.neurons import Neuron
from kndb.store.result import Result
from kndb.store.runs import StoredRun
from kndb_serve.page import Form, Page, Part, Table
from kndb_serve.pages.groups import drawn_groups
from kndb_serve.view import View, found_or


def neuron(view: View, key: str) -> Page:
    """The neuron of a run, as ``LAYER:INDEX``."""
    at = Neuron.parse(key)
    run = view.run
    _check(at, run)
    form = Form([view.run_choice(), *view.sliders(run)], live=True)
    rows, why = found_or(lambda: view.db.query(neuron=str(at), **view.asking(run)))
    facts = {row["fact_key"] for row in rows.to_dicts()}
    relations = _counted(rows, "relation")
    langs = _counted(rows, "lang")
    near, _ = found_or(lambda: view.db.neighbours(str(at), run.run_id))
    about = {
        "layer": f"{at.layer}, of 0 to {run.n_layers - 1}",
        "facts": len(facts),
        "relations": len(relations),
        "languages": len(langs),
        "model": run.model,
    }
    parts: list[Part] = [
        form,
        Table(
            "facts",
            "Facts",
            rows,
            empty=why,
            hidden=("layer", "neuron", "model", "run_id"),
            bars=["score"],
            short=20,
        ),
        Table("relations", "Relations", relations, empty=why, bars=["facts"], half=True, short=12),
        Table("languages", "Languages", langs, empty=why, bars=["facts"], half=True, short=12),
        *_tokens(view, at, run),
        *_partners(view, at, run),
        Table(
            "neighbours",
            "Neighbours",
            near,
            "Neurons that share the most facts with this one, and how many would be shared by "
            "chance.",
            empty="No other neuron shares a fact with it.",
            bars=["n_shared"],
            half=True,
            short=12,
        ),
    ]
    links = {"Graph": view.link("graph", neuron=at)} if facts else {}
    return Page(str(at), "neuron", parts, _specific(len(facts), relations), about, links)


def _tokens(view: View, at: Neuron, run: StoredRun) -> list[Table]:
    """What its output direction pushes up and down."""
    rows, why = found_or(lambda: view.db.directions(str(at), run=run.run_id))
    about = (
        "Tokens whose logits its output direction moves most, by the output embedding alone; the "
        "logit is what one unit of activation adds."
    )
    tables = []
    for name, title, sign in (("promotes", "Pushes up", 1), ("suppresses", "Pushes down", -1)):
        shown = [(row[3], row[4]) for row in rows if row[2] * sign > 0]
        tokens = Result(("token", "logit"), ("VARCHAR", "DOUBLE"), shown)
        tables.append(
            Table(name, title, tokens, about, empty=why, bars=["logit"], half=True, short=10)
        )
    return tables if rows else tables[:1]


def _check(at: Neuron, run: StoredRun) -> None:
    if at.layer >= run.n_layers or at.index >= run.n_neurons:
        raise NotFound(
            f"{run.model} has no neuron {at}; it has {run.n_layers} layers of {run.n_neurons:,} "
            "neurons, counted from 0."
        )


def _counted(rows: Result, name: str) -> Result:
    """Facts by relation or language, the most first."""
    pairs = {(row[name], row["fact_key"]) for row in rows.to_dicts()}
    counts = Counter(value for value, _ in pairs)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Result((name, "facts"), ("VARCHAR", "BIGINT"), ordered)


def _specific(n_facts: int, relations: Result) -> str:
    """How specific the neuron is, in a sentence."""
    if not n_facts:
        return "No fact uses this neuron."
    most, count = relations.rows()[0]
    if n_facts == 1:
        return f"Specific: it belongs to one fact, of {most}."
    if len(relations) == 1:
        return f"Its {n_facts:,} facts are all of one relation, {most}."
    return f"{count / n_facts:.0%} of its {n_facts:,} facts are of {most}, its main relation."


def _partners(view: View, at: Neuron, run: StoredRun) -> list[Part]:
    """The degenerate sets that hold the neuron, and its groups."""
    rows, why = view.remember(
        ("degenerate", run.run_id), lambda: found_or(lambda: view.db.degenerate(run=run.run_id))
    )
    own = _holding(rows, at)
    table = Table(
        "partners",
        "Degenerate partners",
        own,
        "Sets of neurons that stand in for each other, this one among them.",
        empty=why or "It is in no degenerate set.",
        hidden=("size", "max_subset_drop", "p_before", "p_after"),
        bars=["drop_share"],
        short=12,
        half=True,
    )
    if not own:
        return [table]
    groups, _ = view.remember(
        ("groups", run.run_id), lambda: found_or(lambda: view.db.groups(run=run.run_id))
    )
    return [table, *drawn_groups(view, _holding(groups, at), rows, str(at), "partners")]


def _holding(listed: Result, at: Neuron) -> Result:
    """The rows whose ``neurons`` hold this one."""
    place = listed.columns.index("neurons") if listed else 0
    rows = [row for row in listed if str(at) in row[place].split(",")]
    return Result(listed.columns, listed.types, rows)
