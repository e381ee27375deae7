"""The tokens that neurons push up and down: stored by model, as they do not depend on a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from kndb.errors import NotFound
from kndb.neurons import Neuron
from kndb.store.catalogue import require
from kndb.store.database import connect, transaction
from kndb.store.knowledge import Neurons, parse_neurons
from kndb.store.lookup import Names, find_models
from kndb.store.result import Result
from kndb.store.runs import find_run, read_runs

if TYPE_CHECKING:
    import pyarrow as pa

_MISSING = """
    SELECT DISTINCT layer, neuron FROM knowledge_neuron JOIN run USING (run_id)
    ANTI JOIN neuron_direction USING (model_id, layer, neuron)
    WHERE run_id = ? ORDER BY layer, neuron
"""
_ADD = """
    INSERT INTO neuron_direction BY NAME
    SELECT model_id, layer, neuron, rank, token, logit FROM new_directions, run
    WHERE run_id = ? AND (model_id, layer, neuron) NOT IN
        (SELECT (model_id, layer, neuron) FROM neuron_direction)
    ORDER BY layer, neuron, rank
"""
_LISTED = """
    SELECT layer, neuron, rank, token, logit, model.name AS model
    FROM neuron_direction JOIN model USING (model_id)
    WHERE list_contains($neurons, layer || ':' || neuron)
          AND ($models IS NULL OR list_contains($models, model_id))
    ORDER BY model, model_id, layer, neuron, sign(rank) DESC, abs(rank)
"""


def without_directions(path: str | Path, run_id: int) -> list[Neuron]:
    """The knowledge neurons of a run whose tokens are not stored."""
    with connect(path) as connection:
        return [Neuron(*at) for at in connection.execute(_MISSING, [run_id]).fetchall()]


def add_directions(path: str | Path, run_id: int, tokens: pa.Table) -> None:
    """Store tokens of neurons of a run's model, in one transaction.

    Args:
        path: the database.
        run_id: the run.
        tokens: ``layer, neuron, rank, token, logit``; neurons that have some are not changed.

    Raises:
        DatabaseError: the file was replaced by one without the run.
    """
    with transaction(path, wait=60.0) as connection:
        require(connection, path, "run", run_id)
        connection.register("new_directions", tokens)
        connection.execute(_ADD, [run_id])


def directions_of(
    connection: duckdb.DuckDBPyConnection,
    neurons: Neurons,
    model: Names | None,
    run: str | int | None,
) -> Result:
    """The tokens of neurons; see ``kndb.query.Database.directions``."""
    asked = parse_neurons(neurons)
    models = None if model is None else find_models(connection, model)
    if run is not None:
        (found_run,) = read_runs(connection, [find_run(connection, run, models)])
        models = [found_run.model_id]
    found = Result.read(connection.execute(_LISTED, {"neurons": asked, "models": models}))
    if not found:
        raise NotFound(
            f"No tokens of {', '.join(asked)} are stored; `kndb ingest --directions` stores those "
            "of a run's knowledge neurons."
        )
    return found
