"""Finds the tokens that a run's knowledge neurons push up and down, and stores them in batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Engine
from kndb.models import LanguageModel
from kndb.models.vocabulary import Promoted, check_readable, promoted
from kndb.neurons import Neuron
from kndb.store.directions import add_directions, without_directions

COMMIT_NEURONS = 4096
"""Neurons whose tokens are committed together."""

TOGETHER = 256
"""Neurons that a worker gets at a time."""


def check_directions(engine: Engine) -> None:
    """Refuse a model whose neurons cannot be read as tokens.

    Raises:
        UsageError: as ``check_readable`` says.
    """
    each(engine, _check, Items([engine.info.name], "models", str))


def _check(model: LanguageModel[Any], name: str, tell: Tell) -> None:
    check_readable(model)


def store_directions(engine: Engine, database: Path, run_id: int) -> None:
    """Store the tokens of the run's knowledge neurons that have none yet.

    Raises:
        DatabaseError: the database cannot be opened.
        KndbError: the workers died.
    """
    missing = without_directions(database, run_id)
    for batch in _split(missing, COMMIT_NEURONS):
        groups = Items(_split(batch, TOGETHER), "groups of neurons", _first)
        found = [token for group in each(engine, _promoted, groups) for token in group]
        add_directions(database, run_id, pa.Table.from_pylist(list(map(_row, found))))


def _split(neurons: Sequence[Neuron], size: int) -> list[Sequence[Neuron]]:
    return [neurons[start : start + size] for start in range(0, len(neurons), size)]


def _first(neurons: Sequence[Neuron]) -> str:
    return str(neurons[0])


def _promoted(model: LanguageModel[Any], neurons: Sequence[Neuron], tell: Tell) -> list[Promoted]:
    return list(promoted(model, neurons))


def _row(found: Promoted) -> dict[str, Any]:
    return {
        "layer": found.neuron.layer,
        "neuron": found.neuron.index,
        "rank": found.rank,
        "token": found.token,
        "logit": found.logit,
    }
