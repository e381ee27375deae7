"""Tables of stored edits: do they reach other languages? Random neurons are the control.

Reads the ledger of ``kndb edit``; undone edits count too, as they were measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from kndb.evaluation.statistics.per_fact import mean_of, named
from kndb.evaluation.stored import StoredRequest
from kndb.evaluation.table import Table
from kndb.store.runs import StoredRun

SHARES = ("reliability", "generality", "transfer", "locality", "harmonic")
NAMED = "named neurons"
"""Stands for selections such as 2:117,3:5."""

_NO_EDITS = (
    "No fact of this run has been edited; `kndb edit --model MODEL --file EDITS` edits many and "
    "stores the results."
)

DISTANCES = {
    "same-relation": "unchanged: same relation",
    "same-type": "unchanged: same type of object",
    "unrelated": "unchanged: other",
}
"""The part that other facts' prompts have in ``edit_measure``, and the name of the measure."""

_MEASURES = (*SHARES, *DISTANCES.values())


def _kept(kind: str) -> str:
    """Columns: the share of other facts' prompts that an edit left unchanged, by distance."""
    return ", ".join(
        f"avg(CAST(success AS INTEGER)) FILTER (kind = '{kind}' AND part = '{part}')"
        for part in DISTANCES
    )


_EDITS = f"""
    SELECT any_value(fact_id), any_value(mode), any_value(selection), any_value(status),
           {", ".join(f"any_value({name})" for name in SHARES)}, {_kept("edit")},
           {", ".join(f"any_value(control_{name})" for name in SHARES)}, {_kept("control")}
    FROM edit LEFT JOIN edit_measure USING (edit_id)
    WHERE run_id = ? GROUP BY edit_id ORDER BY edit_id
"""


def editing_table(
    connection: duckdb.DuckDBPyConnection, run: StoredRun, request: StoredRequest
) -> Table:
    """Reliability, generality, transfer, locality and their mean, by mode and selection."""
    groups: dict[tuple[str, str], list[Sequence[Any]]] = defaultdict(list)
    for fact, mode, selection, *rest in connection.execute(_EDITS, [run.run_id]).fetchall():
        groups[mode, _kind_of(selection)].append((fact, *rest))
    rows = [
        [*group, *row]
        for group, edits in sorted(groups.items())
        for row in _measure_rows(edits, request)
    ]
    return Table(
        "crosslingual-edits",
        "What edits do, in the language they were made from, in the others and elsewhere",
        ("mode", "selection", "measure", "n_facts", "n_edits", "n_skipped", *_ESTIMATES),
        rows,
        request.settings(run),
        [_SHARES_MEAN, _CONTROL] if rows else [_NO_EDITS],
    )


_ESTIMATES = named("value", "control", "difference")
_SHARES_MEAN = (
    "Reliability: the prompts the neurons were found with; generality: paraphrases kept back; "
    "transfer: other languages; locality: facts of other relations that keep their answer; "
    "harmonic: the harmonic mean of these, edit by edit. Unchanged: other facts that keep their "
    "answer, by distance: of the same relation; of another one, with an object that the relation "
    "also has; all others. Skipped edits have no figures."
)
_CONTROL = (
    "Control: the same edit of equally many random neurons of the same layers; the difference is "
    "over the edits that have both."
)


def _kind_of(selection: str) -> str:
    return NAMED if selection[:1].isdigit() else selection


def _measure_rows(edits: Sequence[Sequence[Any]], request: StoredRequest) -> Iterator[list[Any]]:
    done = [edit for edit in edits if edit[1] != "skipped"]
    counts = [len({edit[0] for edit in done}), len(done), len(edits) - len(done)]
    facts = [edit[0] for edit in done]
    for at, name in enumerate(_MEASURES, start=2):
        values = [edit[at] for edit in done]
        controls = [edit[at + len(_MEASURES)] for edit in done]
        yield [name, *counts, *compared(values, controls, facts, request)]


def compared(
    values: Sequence[float | None],
    controls: Sequence[float | None],
    facts: Sequence[int],
    request: StoredRequest,
) -> list[float]:
    """The means of values, of their controls, and of the difference where both exist."""
    differences = [
        None if a is None or b is None else a - b for a, b in zip(values, controls, strict=True)
    ]
    return [
        end
        for column in (values, controls, differences)
        for end in mean_of(column, facts, request.seed, request.replicates)
    ]


_REACHED = """
    SELECT edit.mode, edit.selection, edit.lang, prompt.lang, part, edit.fact_id,
           avg(CAST(success AS INTEGER)) FILTER (kind = 'edit'),
           avg(CAST(success AS INTEGER)) FILTER (kind = 'control')
    FROM edit_measure JOIN edit USING (edit_id) JOIN prompt USING (prompt_id)
    WHERE run_id = ? AND part IN ('own', 'paraphrase', 'language') AND success IS NOT NULL
    GROUP BY edit_id, edit.mode, edit.selection, edit.lang, prompt.lang, part, edit.fact_id
    ORDER BY ALL
"""


def edit_languages_table(
    connection: duckdb.DuckDBPyConnection, run: StoredRun, request: StoredRequest
) -> Table:
    """How often an edit made from one language succeeds in another."""
    groups: dict[tuple[str, ...], list[Sequence[Any]]] = defaultdict(list)
    for mode, selection, own, lang, part, *rest in connection.execute(
        _REACHED, [run.run_id]
    ).fetchall():
        groups[mode, _kind_of(selection), own, lang, part].append(rest)
    rows = []
    for group, edits in sorted(groups.items()):
        facts, values, controls = (list(column) for column in zip(*edits, strict=True))
        figures = compared(values, controls, facts, request)
        rows.append([*group, len(set(facts)), len(facts), *figures])
    return Table(
        "crosslingual-edit-languages",
        "In which languages an edit made from one language succeeds",
        ("mode", "selection", "lang", "measured_in", "prompts", "n_facts", "n_edits", *_ESTIMATES),
        rows,
        request.settings(run),
        [_SUCCESS, _CONTROL] if rows else [_NO_EDITS],
    )


_SUCCESS = (
    "Success is averaged over an edit's prompts, then over edits. Update: the new answer wins; "
    "suppress and erase: the old answer is no longer the first choice; enhance: it is likelier. "
    "Prompts on which this cannot be decided are left out."
)
