"""Loads a model, or starts what runs it, and finds its run: they are matched by the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from kndb.crew.engines import Engine, started
from kndb.crew.placement import Placed
from kndb.models import LanguageModel, ModelChoice, ModelInfo
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.lookup import find_facts, find_relations
from kndb.store.runs import StoredRun, find_run, run_of_model


def model_id(info: ModelInfo) -> int:
    """The model's id in any database."""
    return ids.model_id(info.weights_sha256, info.architecture)


class OfRun(Protocol):
    """A request about a run: the database, the model, and the run's id or its first digits."""

    @property
    def database(self) -> Path:
        """The database's path."""

    @property
    def model(self) -> ModelChoice:
        """The model."""

    @property
    def run(self) -> str | None:
        """The run, or None for the newest."""


def check_run(
    database: Path, run: str | None, fact: str | None = None, relation: str | None = None
) -> None:
    """Fail before a model is loaded if the database, or what is asked of it, is not there.

    Args:
        database: the database.
        run: a run's id, name or first digits, if one is requested.
        fact: a fact in words, likewise.
        relation: id or label of a relation, likewise.

    Raises:
        NotFound: there is no such run, fact or relation.
        UsageError: several runs match.
        DatabaseError: the database cannot be opened.
    """
    with connect(database) as connection:
        if run is not None:
            find_run(connection, run)
        if fact is not None:
            find_facts(connection, fact)
        if relation is not None:
            find_relations(connection, relation)


def model_and_run(request: OfRun) -> tuple[LanguageModel[Any], StoredRun]:
    """Load a model, and find its run: the requested one, or else the newest finished one.

    Raises:
        NotFound: there is no such run.
        UsageError: the run belongs to another model.
        ModelError: the model cannot be loaded.
        DatabaseError: the database cannot be opened.
    """
    check_run(request.database, request.run)
    model = request.model.load()
    return model, _run_of(request, model.info)


class OfRunPlaced(OfRun, Placed, Protocol):
    """A request about a run that also says where the model runs."""


@contextmanager
def engine_and_run(
    request: OfRunPlaced, running: Engine | None = None
) -> Iterator[tuple[Engine, StoredRun]]:
    """Start what runs a model, and find the model's run, as :func:`model_and_run` does.

    Args:
        request: about a run, and where the model runs.
        running: an engine that runs the model already, and is left running; None to start one.

    Raises:
        NotFound: there is no such run.
        UsageError: the run belongs to another model, or the model cannot run there.
        ModelError: the model cannot be loaded.
        DatabaseError: the database cannot be opened.
        KndbError: the workers died.
    """
    check_run(request.database, request.run)
    with started(request, running) as engine:
        yield engine, _run_of(request, engine.info)


def _run_of(request: OfRun, info: ModelInfo) -> StoredRun:
    return run_of_model(request.database, model_id(info), info.name, request.run)
