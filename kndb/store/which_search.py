"""Which search for degenerate neurons is meant: the newest of a run, or the one asked for.

This is the only rule; graphs, evaluations and calibrations all go by it. Reads ids only.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.store.runs import find_run


class Search(NamedTuple):
    """A search: its id, its run's, and whether it is finished."""

    search_id: int
    run_id: int
    finished: bool


_SEARCHES = """
    SELECT search_id, run_id, degenerate_search.status = 'finished' AS finished
    FROM degenerate_search JOIN run USING (run_id)
    WHERE ($run IS NULL OR run_id = $run)
          AND ($models IS NULL OR list_contains($models, model_id))
    ORDER BY finished DESC, degenerate_search.finished_at DESC NULLS LAST,
             degenerate_search.started_at DESC, search_id
"""
"""The one that finished last comes first; those that are not finished come after all others."""


def newest_search(connection: duckdb.DuckDBPyConnection, run_id: int) -> Search | None:
    """The search of the run that finished last; an unfinished one only where none is finished."""
    row = connection.execute(_SEARCHES, {"run": run_id, "models": None}).fetchone()
    return None if row is None else Search(*row)


def find_search(
    connection: duckdb.DuckDBPyConnection,
    asked: str | int,
    run: str | int | None = None,
    models: list[int] | None = None,
) -> Search:
    """The search whose number begins with ``asked``, of the run asked for and the given models.

    Raises:
        NotFound: there is none, or no such run; it carries those that exist, the newest first.
        UsageError: several begin so.
    """
    run_id = None if run is None else find_run(connection, run, models)
    asked = str(asked)
    rows = connection.execute(_SEARCHES, {"run": run_id, "models": models}).fetchall()
    every = {str(row[0]): Search(*row) for row in rows}
    found = [asked] if asked in every else [key for key in every if key.startswith(asked)]
    if not found:
        raise NotFound(f"There is no search {asked!r} for degenerate neurons here.", list(every))
    if len(found) > 1:
        raise UsageError(f"{len(found)} searches begin with {asked!r}; give more of the number.")
    return every[found[0]]
