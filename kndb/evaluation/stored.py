"""Evaluations that read stored rows: which run they are about. Runs no model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import UsageError
from kndb.store.lookup import find_models
from kndb.store.runs import StoredRun, newest_run
from kndb.store.which_search import find_search


@dataclass(frozen=True)
class StoredRequest:
    """What to evaluate from what is stored.

    Attributes:
        database: the database's path.
        model: a model's name, a part of it, or its folder; the only one when None.
        run: a run's id or its first digits; the model's newest finished run when None.
        replicates: number of bootstrap resamples.
        seed: seed of the bootstrap.
        search: a search for degenerate neurons, by its id or its first digits; without a run it
            names the run too. The run's newest finished one when None.
    """

    database: Path
    model: str | None = None
    run: str | None = None
    replicates: int = 1000
    seed: int = 0
    search: str | None = None

    def settings(self, run: StoredRun) -> dict[str, Any]:
        """What a table about the run needs to be made again."""
        return {
            "model": run.model,
            "run": run.run_id,
            "dataset": run.dataset,
            "preset": run.preset,
            "tau": run.tau,
            "share": run.share,
            "replicates": self.replicates,
            "seed": self.seed,
        }


def stored_run(
    connection: duckdb.DuckDBPyConnection,
    request: StoredRequest,
    models: list[int] | None = None,
) -> StoredRun:
    """The run asked for, or the newest finished one.

    Args:
        connection: to the database.
        request: what is asked for.
        models: ids of models; they take precedence over the request's model name.

    Raises:
        NotFound: there is no such model or run, or no finished run.
        UsageError: several models fit, or the run is not finished.
    """
    if models is None and request.model is not None:
        models = find_models(connection, request.model)
    return newest_run(connection, request.run, models)


def with_search(
    connection: duckdb.DuckDBPyConnection, request: StoredRequest
) -> tuple[StoredRequest, int | None]:
    """The request, set to the run of the search it names, and that search's id.

    Raises:
        NotFound: there is no such model, run or search.
        UsageError: several searches fit, or the search is not finished.
    """
    if request.search is None:
        return request, None
    models = None if request.model is None else find_models(connection, request.model)
    search = find_search(connection, request.search, request.run, models)
    if not search.finished:
        raise UsageError(
            f"The search {search.search_id} is not finished; run the same `kndb graph degenerate` "
            "command again to continue."
        )
    return replace(request, run=str(search.run_id)), search.search_id
