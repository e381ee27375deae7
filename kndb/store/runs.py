"""Chooses a run: by its id, by its model, or the newest. All of kndb uses these functions.

A run named by its id may be unfinished; without an id, the newest finished runs are chosen, or an
unfinished one if no other is there. A note says so where the choice is not obvious. Reads only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.notes import note
from kndb.store.database import connect
from kndb.store.processes import KEYS, is_gone
from kndb.store.result import Result


@dataclass(frozen=True)
class StoredRun:
    """A run, with its model and its data set.

    Attributes:
        run_id: its id.
        model_id: the model's id.
        model: the model's name.
        n_layers: the model's feed-forward blocks.
        n_neurons: neurons in each block.
        dataset: the data set's name.
        preset: the attribution preset, or ``imported``.
        tau: threshold its knowledge neurons were refined with; None if they were imported.
        share: share of prompts they were refined with; None if they were imported.
        settings: all settings of its attribution and its selection of facts.
        finished: whether it is finished.
        name: the name that a user gave it, if any.
    """

    run_id: int
    model_id: int
    model: str
    n_layers: int
    n_neurons: int
    dataset: str
    preset: str
    tau: float | None
    share: float | None
    settings: Mapping[str, Any]
    finished: bool = True
    name: str | None = None

    @property
    def population(self) -> int:
        """Neurons of the model, all layers."""
        return self.n_layers * self.n_neurons

    @property
    def described(self) -> str:
        """Its id, name, model, data set and preset."""
        name = f"{self.name}: " if self.name else ""
        return f"{self.run_id} ({name}{self.model} on {self.dataset}, {self.preset})"


_RUNS = """
    SELECT run_id, model_id, model.name, n_layers, n_neurons, dataset.name, preset, tau, share,
           settings, run.status = 'finished', run.name
    FROM run JOIN model USING (model_id) JOIN dataset USING (dataset_id)
    WHERE $runs IS NULL OR list_contains($runs, run_id)
    ORDER BY finished_at DESC, run_id
"""


def read_runs(
    connection: duckdb.DuckDBPyConnection, run_ids: Sequence[int] | None = None
) -> list[StoredRun]:
    """Runs by their ids, or all runs; the one that finished last comes first."""
    if run_ids is not None and not run_ids:
        return []
    asked = {"runs": None if run_ids is None else list(run_ids)}
    rows = connection.execute(_RUNS, asked).fetchall()
    names = [field.name for field in fields(StoredRun)]
    values = [dict(zip(names, row, strict=True)) for row in rows]
    return [StoredRun(**{**each, "settings": json.loads(each["settings"])}) for each in values]


_WEIGHTS = """
    SELECT DISTINCT weights_sha256, model.name FROM run JOIN model USING (model_id)
    WHERE list_contains(?, run_id)
"""


def with_models(connection: duckdb.DuckDBPyConnection, found: Result, *runs: int) -> Result:
    """The same rows of neurons, with the models of their runs; by default of their ``run_id``."""
    ids = runs or {row[found.columns.index("run_id")] for row in found}
    return found.of_models(dict(connection.execute(_WEIGHTS, [sorted(ids)]).fetchall()))


def killed(connection: duckdb.DuckDBPyConnection, table: str) -> frozenset[int]:
    """Runs or searches that are stored as running, but whose process has ended without a word.

    Args:
        connection: to the database.
        table: ``run`` or ``degenerate_search``.
    """
    sql = f"SELECT {KEYS[table]}, process FROM {table} WHERE status = 'running'"
    rows = connection.execute(sql).fetchall()
    return frozenset(key for key, process in rows if is_gone(process))


def find_run(
    connection: duckdb.DuckDBPyConnection, asked: str | int, models: list[int] | None = None
) -> int:
    """The id of the run, of one of the given models, of this name or whose number begins so.

    Raises:
        NotFound: there is no such run; the error lists those that exist.
        UsageError: several match; the error lists them.
    """
    runs = [run for run in read_runs(connection) if models is None or run.model_id in models]
    every = {str(run.run_id): run for run in runs}
    asked = str(asked)
    named = [str(run.run_id) for run in runs if run.name == asked]
    exact = [asked] if asked in every else named
    found = exact or [run for run in every if run.startswith(asked)]
    if not found:
        raise NotFound(
            f"There is no run {asked!r}.", [run.described for run in runs], "Runs that there are"
        )
    if len(found) > 1:
        names = ", ".join(every[run].described for run in found)
        raise UsageError(
            f"{len(found)} runs begin with {asked!r}; give more of the number: {names}."
        )
    return int(found[0])


_NEWEST = """
    SELECT run_id, count(*) OVER same AS finished
    FROM run
    WHERE status = 'finished' AND ($models IS NULL OR list_contains($models, model_id))
    WINDOW same AS (PARTITION BY model_id, dataset_id)
    QUALIFY row_number() OVER (same ORDER BY finished_at DESC, run_id) = 1
    ORDER BY finished_at DESC, run_id
"""
"""The newest finished run of each model and data set, and how many it was chosen from."""

_UNFINISHED = """
    SELECT run_id, run.status, count(prompt_id) FILTER (prediction.status = 'done') AS done
    FROM run LEFT JOIN prediction USING (run_id)
    WHERE run.status <> 'finished' AND ($models IS NULL OR list_contains($models, model_id))
          AND ($run IS NULL OR run_id = $run)
    GROUP BY run_id, run.status, started_at
    ORDER BY done = 0, started_at DESC, run_id
    LIMIT 1
"""


def chosen_runs(
    connection: duckdb.DuckDBPyConnection, asked: str | int | None, models: list[int] | None
) -> list[int]:
    """The requested run, or else the newest finished run of each model and data set.

    If none is finished, it is the newest of the others that has a prompt done.

    Args:
        connection: to the database.
        asked: a run's id, or its first digits.
        models: ids of models; all when None.

    Raises:
        NotFound: there is no such run, or none at all.
        UsageError: several runs match.
    """
    if asked is not None:
        run_id = find_run(connection, asked, models)
        _unfinished(connection, run_id, models)
        return [run_id]
    found = connection.execute(_NEWEST, {"models": models}).fetchall()
    if not found:
        unfinished = _unfinished(connection, None, models)
        if unfinished is None:
            raise NotFound("The database has no run yet; `kndb ingest` makes one.")
        return [unfinished]
    chosen_from = {run_id: finished for run_id, finished in found if finished > 1}
    for run in read_runs(connection, list(chosen_from))[:_NOTED]:
        note(
            f"{run.model}: the newest of {chosen_from[run.run_id]} runs answers, {run.run_id}; "
            "--run asks another."
        )
    return [run_id for run_id, _ in found]


_NOTED = 3
"""The most models of which a note says which run answers."""


def _unfinished(
    connection: duckdb.DuckDBPyConnection, run_id: int | None, models: list[int] | None
) -> int | None:
    """An unfinished run, after a note that it is one; None if there is none."""
    row = connection.execute(_UNFINISHED, {"run": run_id, "models": models}).fetchone()
    if row is None:
        return None
    found, status, done = row
    going = "still going on" if status == "running" else "interrupted"
    if found in killed(connection, "run"):
        going = "interrupted"
    note(
        f"Run {found} is {going}: {done:,} prompts are done so far; the same `kndb ingest` "
        "continues it."
    )
    return int(found)


def newest_run(
    connection: duckdb.DuckDBPyConnection, asked: str | int | None, models: list[int] | None
) -> StoredRun:
    """The requested run, or else the newest finished run, if all belong to one model.

    Raises:
        NotFound: there is no such run, or no run is finished.
        UsageError: runs of several models match, or the run is not finished.
    """
    runs = read_runs(connection, chosen_runs(connection, asked, models))
    if len(names := sorted({run.model for run in runs})) > 1:
        raise UsageError(
            f"Runs of {len(names)} models match; name one of them with --model: {', '.join(names)}."
        )
    return _finished(runs[0])


def only_run(
    connection: duckdb.DuckDBPyConnection, asked: str | int | None, models: list[int] | None
) -> StoredRun:
    """The requested run, or else the newest finished run, if no other matches.

    Raises:
        NotFound: there is no such run, or no run is finished.
        UsageError: several runs match.
    """
    runs = read_runs(connection, chosen_runs(connection, asked, models))
    if len(runs) > 1:
        names = sorted(f"{run.model} (run {run.run_id})" for run in runs)
        raise UsageError(
            f"{len(runs)} runs match, but a graph covers one; choose one by its model's name or "
            f"its id: {', '.join(names)}."
        )
    return runs[0]


def run_of_model(path: str | Path, model_id: int, model: str, asked: str | None) -> StoredRun:
    """The requested run, or else the newest finished run of the model.

    Args:
        path: the database.
        model_id: the model, by its weights.
        model: its name, for messages.
        asked: a run's id, or its first digits.

    Raises:
        NotFound: there is no such run, or none of this model.
        UsageError: the run belongs to another model, or is not finished.
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection:
        if asked is not None:
            (run,) = read_runs(connection, [find_run(connection, asked)])
            return _of_model(_finished(run), model_id, model)
        finished = [run for run in read_runs(connection) if run.finished]
    own = [run for run in finished if run.model_id == model_id]
    if not own:
        raise NotFound(
            f"{path} has no finished run of the model {model} with these weights; "
            "`kndb ingest` makes one.",
            list(dict.fromkeys(run.model for run in finished)),
            "Models with a finished run",
        )
    if len(own) > 1:
        note(
            f"{model}: the newest of {len(own)} runs is used, {own[0].run_id}; --run takes another."
        )
    return own[0]


def named_run(path: str | Path, asked: str) -> StoredRun:
    """The run of this id or these first digits, finished or not.

    Raises:
        NotFound: there is no such run.
        UsageError: several match.
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection:
        (run,) = read_runs(connection, [find_run(connection, asked)])
        return run


def _finished(run: StoredRun) -> StoredRun:
    if not run.finished:
        raise UsageError(
            f"Run {run.run_id} is not finished; run the same `kndb ingest` again to continue it."
        )
    return run


def _of_model(run: StoredRun, model_id: int, model: str) -> StoredRun:
    if run.model_id != model_id:
        raise UsageError(
            f"Run {run.run_id} belongs to the model {run.model}, whose weights are not those of "
            f"{model}; give the run's own model."
        )
    return run
