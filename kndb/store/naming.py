"""Gives runs names, by which every command finds them."""

from __future__ import annotations

from pathlib import Path

from kndb.errors import UsageError
from kndb.plain import is_text
from kndb.store.database import transaction
from kndb.store.runs import find_run

LONGEST = 60
"""Characters of a name: it has to fit a table."""


def check_name(name: str) -> str:
    """The name, if a run can have it.

    Raises:
        UsageError: it is empty or long, could be an id, or holds what cannot be typed.
    """
    if not (
        0 < len(name) <= LONGEST and is_text(name) and name.isprintable() and name == name.strip()
    ):
        raise UsageError(
            f"{name!r:.80} cannot name a run; give 1 to {LONGEST} letters, digits and marks."
        )
    if name.isdecimal():
        raise UsageError(f"{name!r} could be a run's id; give a name with a letter.")
    return name


def name_run(path: str | Path, asked: str | int, name: str | None) -> int:
    """Name a run, or take its name away with None; returns its id.

    Raises:
        NotFound: there is no such run.
        UsageError: another run has the name, or no run can have it.
        DatabaseError: the database cannot be written to.
    """
    if name is not None:
        check_name(name)
    with transaction(path, wait=60.0) as connection:
        run_id = find_run(connection, asked)
        other = connection.execute(
            "SELECT run_id FROM run WHERE name = ? AND run_id <> ?", [name, run_id]
        ).fetchone()
        if other is not None:
            raise UsageError(f"The run {other[0]} is already called {name!r}; give another name.")
        connection.execute("UPDATE run SET name = ? WHERE run_id = ?", [name, run_id])
    return run_id
