"""Evaluations that read stored rows: which run they are about. Runs no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import UsageError
from kndb.store.lookup import find_model, find_run, newest_runs
from kndb.store.which_search import find_search


@dataclass(frozen=True)
class StoredRequest:
    """What to evaluate from what is stored.

    Attributes:
        database: the database's path.
        model: a model's name, a part of it, or its folder; the only one when None.
        run: a run's id or its first digits; the model's newest finished run when None.
        replicates: bootstrap draws.
        seed: of the bootstrap.
        search: a search for degenerate neurons, by its id or its first digits; without a run it
            names the run too. The run's newest finished one when None.
    """

    database: Path
    model: str | None = None
    run: str | None = None
    replicates: int = 1000
    seed: int = 0
    search: str | None = None


@dataclass(frozen=True)
class StoredRun:
    """A finished run.

    Attributes:
        run_id: its id.
        model: the model's name.
        n_layers, n_neurons: of the model, neurons of each layer.
        dataset: the data set's name.
        preset: of the attribution.
        tau, share: what its knowledge neurons were refined with; None where they were imported.
        settings: the run's own, everything that was attributed with.
    """

    run_id: int
    model: str
    n_layers: int
    n_neurons: int
    dataset: str
    preset: str
    tau: float | None
    share: float | None
    settings: Mapping[str, Any]

    @property
    def population(self) -> int:
        """Neurons of the model, all layers."""
        return self.n_layers * self.n_neurons

    def described(self, request: StoredRequest) -> dict[str, Any]:
        """The settings of a table about this run."""
        return {
            "model": self.model,
            "run": self.run_id,
            "dataset": self.dataset,
            "preset": self.preset,
            "tau": self.tau,
            "share": self.share,
            "replicates": request.replicates,
            "seed": request.seed,
        }


_RUN = """
    SELECT run_id, model.name, n_layers, n_neurons, dataset.name, preset, tau, share, settings,
           run.status
    FROM run JOIN model USING (model_id) JOIN dataset USING (dataset_id)
    WHERE list_contains(?, run_id) ORDER BY finished_at DESC, run_id
"""


def stored_run(
    connection: duckdb.DuckDBPyConnection,
    request: StoredRequest,
    models: list[int] | None = None,
) -> StoredRun:
    """The run asked for, or the newest finished one.

    Args:
        connection: to the database.
        request: what is asked for.
        models: ids of models that go before the request's name.

    Raises:
        NotFound: there is no such model or run, or no finished run.
        UsageError: several models fit, or the run is not finished.
    """
    if models is None and request.model is not None:
        models = find_model(connection, _name(request.model))
    if request.run is None:
        run_ids = newest_runs(connection, models)
    else:
        run_ids = [find_run(connection, request.run, models)]
    rows = connection.execute(_RUN, [run_ids]).fetchall()
    if len(names := sorted({row[1] for row in rows})) > 1:
        raise UsageError(
            f"Runs of {len(names)} models fit; name one of them: {', '.join(names)}, with --model."
        )
    run_id, model, n_layers, n_neurons, dataset, preset, tau, share, settings, status = rows[0]
    if status != "finished":
        raise UsageError(f"The run {run_id} is not finished; the same `kndb ingest` goes on.")
    return StoredRun(
        run_id, model, n_layers, n_neurons, dataset, preset, tau, share, json.loads(settings)
    )


def with_search(
    connection: duckdb.DuckDBPyConnection, request: StoredRequest
) -> tuple[StoredRequest, int | None]:
    """The request, of the run of the search that it asks for, and the search's id.

    Raises:
        NotFound: there is no such model, run or search.
        UsageError: several searches fit, or the search is not finished.
    """
    if request.search is None:
        return request, None
    models = None if request.model is None else find_model(connection, _name(request.model))
    run_id = None if request.run is None else find_run(connection, request.run, models)
    search = find_search(connection, request.search, run_id, models)
    if not search.finished:
        raise UsageError(
            f"The search {search.search_id} is not finished; the same `kndb graph degenerate` "
            "goes on."
        )
    return replace(request, run=str(search.run_id)), search.search_id


def _name(model: str) -> str:
    """A folder's model is stored under the folder's name."""
    return Path(model).resolve().name if Path(model).is_dir() else model
