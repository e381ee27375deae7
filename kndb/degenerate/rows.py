"""Turns the findings of a search into Arrow rows for the database. Writes nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kndb.attribution.suppression import Silent
from kndb.degenerate.examine import Findings, SetDrop
from kndb.facts import content_id
from kndb.store.searches import FactToSearch

FACTS = pa.schema(
    [
        ("search_id", pa.int64()),
        ("fact_id", pa.int64()),
        ("lang", pa.string()),
        ("n_neurons", pa.int32()),
        ("n_tried", pa.int32()),
        ("n_found", pa.int32()),
        ("n_control", pa.int32()),
        ("n_control_found", pa.int32()),
        ("status", pa.string()),
        ("reason", pa.string()),
    ]
)
SETS = pa.schema(
    [
        ("run_id", pa.int64()),
        ("search_id", pa.int64()),
        ("fact_id", pa.int64()),
        ("lang", pa.string()),
        ("set_id", pa.int64()),
        ("kind", pa.string()),
        ("size", pa.int32()),
        ("drop_share", pa.float64()),
        ("max_subset_drop", pa.float64()),
        ("is_degenerate", pa.bool_()),
        ("p_before", pa.float64()),
        ("p_after", pa.float64()),
    ]
)
MEMBERS = pa.schema(
    [
        ("search_id", pa.int64()),
        ("set_id", pa.int64()),
        ("layer", pa.int16()),
        ("neuron", pa.int32()),
    ]
)
SUBSETS = pa.schema(
    [
        ("search_id", pa.int64()),
        ("set_id", pa.int64()),
        ("members", pa.string()),
        ("drop", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Outcome:
    """The outcome for a fact in a language: its findings, or the reason why it was skipped.

    ``reason`` is also set when a search was incomplete.
    """

    fact: FactToSearch
    n_neurons: int
    findings: Findings | None
    reason: str | None


def search_tables(
    search_id: int, run_id: int, batch: Sequence[Outcome]
) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table]:
    """The rows of a batch: facts, sets, members and subsets."""
    search = {"search_id": search_id}
    stored = list(_stored_sets(search_id, batch))
    facts = [search | _fact_row(outcome) for outcome in batch]
    sets = [search | {"run_id": run_id, "set_id": key} | row for key, row, _ in stored]
    members = [
        search | {"set_id": key, "layer": neuron.layer, "neuron": neuron.index}
        for key, _, found in stored
        for neuron in found.neurons
    ]
    subsets = [
        search | {"set_id": key, "members": _members(part), "drop": drop}
        for key, _, found in stored
        for part, drop in found.subsets
    ]
    return (
        pa.Table.from_pylist(facts, schema=FACTS),
        pa.Table.from_pylist(sets, schema=SETS),
        pa.Table.from_pylist(members, schema=MEMBERS),
        pa.Table.from_pylist(subsets, schema=SUBSETS),
    )


def _fact_row(outcome: Outcome) -> dict[str, Any]:
    found = outcome.findings
    return {
        "fact_id": outcome.fact.fact_id,
        "lang": outcome.fact.lang,
        "n_neurons": outcome.n_neurons,
        "n_tried": len(found.tried.sets) if found else 0,
        "n_found": len(found.found("degenerate")) if found else 0,
        "n_control": found.n_control if found else 0,
        "n_control_found": len(found.found("control")) if found else 0,
        "status": "done" if found else "skipped",
        "reason": outcome.reason,
    }


def _stored_sets(
    search_id: int, batch: Sequence[Outcome]
) -> Iterator[tuple[int, dict[str, Any], SetDrop]]:
    """Each set found: its id, its row and the set itself."""
    for outcome in batch:
        if outcome.findings is None:
            continue
        fact_id, lang = outcome.fact.key
        for found in outcome.findings.sets:
            key = content_id("set", search_id, fact_id, lang, found.kind, _members(found.neurons))
            row = {
                "fact_id": fact_id,
                "lang": lang,
                "kind": found.kind,
                "size": len(found.neurons),
                "drop_share": found.drop,
                "max_subset_drop": found.max_subset_drop,
                "is_degenerate": found.is_degenerate,
                "p_before": outcome.findings.p_before,
                "p_after": found.p_after,
            }
            yield key, row, found


def _members(silent: Silent) -> str:
    return ",".join(map(str, silent))
