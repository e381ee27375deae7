"""Edits as rows: for the ledger, and for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from kndb.edit.intervention import EditOutcome
from kndb.edit.plan import EditSettings
from kndb.edit.scores import Measurement, Scores
from kndb.store import ids
from kndb.store.edits import Ledger


def append(
    database: Path, run: Mapping[str, Any], batch: Sequence[EditOutcome], dtype: str
) -> None:
    """Write edits into the ledger, with their neurons and measurements.

    Args:
        database: the ledger's path.
        run: ``run_id`` and ``weights_sha256``, which all of them share.
        batch: the edits.
        dtype: number format in which the model ran.

    Raises:
        DatabaseError: the database cannot be written.
    """
    Ledger(database).append(
        [{**run, **edit_row(outcome, dtype)} for outcome in batch],
        [row for outcome in batch for row in _neuron_rows(outcome)],
        [row for outcome in batch for row in _stored_measures(outcome)],
    )


def edit_row(outcome: EditOutcome, dtype: str) -> dict[str, Any]:
    """A row of ``edit``, but for the run and the weights."""
    plan, settings = outcome.plan, outcome.settings
    unknown = dict.fromkeys(f.name for f in fields(Scores))
    scores = asdict(outcome.scores) if outcome.scores else unknown
    control = asdict(outcome.control) if outcome.control else unknown
    shares = ("reliability", "generality", "transfer", "locality", "harmonic")
    return {
        "edit_id": outcome.edit_id,
        "fact_id": plan.fact.fact_id,
        "mode": settings.mode,
        "selection": settings.neurons,
        "lang": plan.lang,
        "langs": ",".join(plan.langs),
        "target": settings.target,
        "target_object_id": plan.target_object,
        "strength": settings.strength if settings.mode == "update" else None,
        "settings": ids.canonical_json({**settings.as_dict(), "dtype": dtype}),
        "status": "skipped" if plan.reason else "active",
        "reason": plan.reason,
        "n_neurons": len(plan.neurons),
        **scores,
        **{f"control_{name}": control[name] for name in shares},
        "delta": outcome.delta.to_bytes() if outcome.delta else None,
    }


def ledger_row(outcome: EditOutcome) -> dict[str, Any]:
    """An edit for people, by the columns that ``kndb edit list`` also has."""
    row = edit_row(outcome, "")
    names = ("mode", "selection", "lang", "langs", "target", "strength", "n_neurons")
    scores = ("reliability", "generality", "transfer", "locality", "harmonic", "control_harmonic")
    shown = {name: row[name] for name in (*names, *scores, "reason")}
    return {"fact_key": outcome.plan.fact.key, **shown}


def _neuron_rows(outcome: EditOutcome) -> Iterator[dict[str, Any]]:
    for kind, neurons in (("edit", outcome.plan.neurons), ("control", outcome.control_neurons)):
        for neuron in neurons:
            yield {
                "edit_id": outcome.edit_id,
                "kind": kind,
                "layer": neuron.layer,
                "neuron": neuron.index,
            }


def measure_rows(
    measured: Iterable[Measurement], settings: EditSettings
) -> Iterator[dict[str, Any]]:
    """What was measured, prompt by prompt, for people: the columns of ``Ledger.show``."""
    for one in measured:
        yield {
            "prompt_id": one.probe.prompt_id,
            "fact_key": one.probe.fact_key,
            "lang": one.probe.lang,
            "part": one.probe.kind,
            "text": one.probe.text,
            "old_answer": one.probe.old,
            "new_answer": one.probe.new,
            "p_old_before": one.before.p_old,
            "p_old_after": one.after.p_old,
            "p_new_before": one.before.p_new,
            "p_new_after": one.after.p_new,
            "first_before": one.before.first,
            "first_after": one.after.first,
            "changed": one.changed,
            "success": one.success(settings.mode),
        }


def _stored_measures(outcome: EditOutcome) -> Iterator[dict[str, Any]]:
    """Rows of ``edit_measure``: without what the tables ``prompt`` and ``fact`` hold."""
    joined = ("fact_key", "lang", "text", "old_answer")
    for kind, measured in (("edit", outcome.measured), ("control", outcome.control_measured)):
        for row in measure_rows(measured, outcome.settings):
            kept = {name: value for name, value in row.items() if name not in joined}
            yield {"edit_id": outcome.edit_id, "kind": kind, **kept}
