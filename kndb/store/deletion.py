"""Deletes runs with all that belongs to them, files too, and gives the space back to the system."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import duckdb

from kndb.errors import UsageError
from kndb.store.database import connect, transaction
from kndb.store.processes import is_gone
from kndb.store.rewriting import compact
from kndb.store.score_folder import remove_run

_SEARCHES = "search_id IN (SELECT search_id FROM degenerate_search WHERE run_id = $run)"
_CALIBRATIONS = (
    "calibration_id IN (SELECT calibration_id FROM factcheck_calibration WHERE run_id = $run)"
)
_EDITS = "edit_id IN (SELECT edit_id FROM edit WHERE run_id = $run)"
_DATA = (
    "dataset_id IN (SELECT dataset_id FROM run WHERE run_id = $run) "
    "AND dataset_id NOT IN (SELECT dataset_id FROM run WHERE run_id <> $run)"
)
_FACTS = f"(SELECT fact_id FROM fact WHERE {_DATA})"

_MODEL = (
    "model_id IN (SELECT model_id FROM run WHERE run_id = $run) "
    "AND model_id NOT IN (SELECT model_id FROM run WHERE run_id <> $run)"
)

_OWN = {
    "attribution": "run_id = $run",
    "word_attribution": "run_id = $run",
    "score_part": "run_id = $run",
    "prediction": "run_id = $run",
    "knowledge_neuron": "run_id = $run",
    "knowledge_by_neuron": "run_id = $run",
    "neuron_overlap": "run_id = $run",
    "degenerate_subset": _SEARCHES,
    "degenerate_member": _SEARCHES,
    "degenerate_set": _SEARCHES,
    "degenerate_fact": _SEARCHES,
    "factcheck_curve": _CALIBRATIONS,
    "factcheck_neuron": _CALIBRATIONS,
    "factcheck_split": _CALIBRATIONS,
    "factcheck": _CALIBRATIONS,
    "factcheck_calibration": "run_id = $run",
    "degenerate_search": "run_id = $run",
    "edit_measure": _EDITS,
    "edit_neuron": _EDITS,
    "edit": "run_id = $run",
    "prompt": f"fact_id IN {_FACTS}",
    "relation": f"relation_id IN (SELECT relation_id FROM fact WHERE fact_id IN {_FACTS}) "
    f"AND relation_id NOT IN (SELECT relation_id FROM fact WHERE fact_id NOT IN {_FACTS})",
    "fact": f"fact_id IN {_FACTS}",
    "dataset": _DATA,
    "neuron_direction": _MODEL,
    "model": _MODEL,
    "run": "run_id = $run",
}
"""What belongs to a run, in an order in which nothing is deleted that a later condition needs.

The model and the data set belong to it if no other run uses them.
"""


def rows_of_run(path: str | Path, run_id: int) -> dict[str, int]:
    """The number of rows of each table that would go with the run.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection:
        counts = {table: _count(connection, table, run_id) for table in reversed(_OWN)}
    return {table: n for table, n in counts.items() if n}


def _count(connection: duckdb.DuckDBPyConnection, table: str, run_id: int) -> int:
    sql = f"SELECT count(*) FROM {table} WHERE {_OWN[table]}"
    ((n,),) = connection.execute(sql, {"run": run_id}).fetchall()
    return int(n)


def delete_run(path: str | Path, run_id: int, *, wait: float = 60.0) -> bool:
    """Delete a run and what belongs to it, in one transaction, and shrink the file.

    The parts with its scores are removed once that is committed, before it can be begun anew.

    Returns:
        Whether the file could be shrunk.

    Raises:
        UsageError: a process is working on it.
        DatabaseError: the database cannot be written.
    """
    remove = partial(remove_run, path, run_id)
    with transaction(path, wait=wait, then=remove) as connection:
        for (process,) in connection.execute(_PROCESSES, {"run": run_id}).fetchall():
            if process and not is_gone(process):
                raise UsageError(
                    f"A process is working on run {run_id}; wait until it has finished, or end it."
                )
        for table, condition in _OWN.items():
            connection.execute(f"DELETE FROM {table} WHERE {condition}", {"run": run_id})
    return compact(path)


_PROCESSES = """
    SELECT process FROM run WHERE run_id = $run AND status = 'running'
    UNION ALL
    SELECT process FROM degenerate_search WHERE run_id = $run AND status = 'running'
"""
