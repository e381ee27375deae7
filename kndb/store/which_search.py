"""Chooses a search for degenerate neurons: the newest of a run, or the requested one.

Graphs, evaluations and calibrations all use it. Reads ids only.
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
"""The search that finished last comes first; unfinished ones come last."""


def newest_search(connection: duckdb.DuckDBPyConnection, run_id: int) -> Search | None:
    """The run's search that finished last, or an unfinished one if none has finished."""
    row = connection.execute(_SEARCHES, {"run": run_id, "models": None}).fetchone()
    return None if row is None else Search(*row)


def finished_search(connection: duckdb.DuckDBPyConnection, run_id: int) -> int:
    """The run's search that finished last.

    Raises:
        NotFound: no search of the run is finished.
    """
    found = newest_search(connection, run_id)
    if found is None or not found.finished:
        raise NotFound(
            f"No search for degenerate neurons of the run {run_id} is finished; "
            "`kndb graph degenerate` makes one."
        )
    return found.search_id


def find_search(
    connection: duckdb.DuckDBPyConnection,
    asked: str | int,
    run: str | int | None = None,
    models: list[int] | None = None,
) -> Search:
    """The search whose number begins with ``asked``, in the given run and models.

    Raises:
        NotFound: there is no such search or run; the error lists those that exist, newest first.
        UsageError: several match.
    """
    run_id = None if run is None else find_run(connection, run, models)
    asked = str(asked)
    rows = connection.execute(_SEARCHES, {"run": run_id, "models": models}).fetchall()
    every = {str(row[0]): Search(*row) for row in rows}
    found = [asked] if asked in every else [key for key in every if key.startswith(asked)]
    if not found:
        raise NotFound(
            f"There is no search {asked!r} for degenerate neurons.",
            list(every),
            "Searches that there are",
        )
    if len(found) > 1:
        raise UsageError(f"{len(found)} searches begin with {asked!r}; give more of the number.")
    return every[found[0]]
