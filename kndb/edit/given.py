"""Neurons as users give them: one by one, or as the rows of a query. Reads no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kndb.errors import ModelError, UsageError
from kndb.models import LanguageModel
from kndb.models.base import check_model
from kndb.neurons import Neuron
from kndb.store.result import Result

Given = Result | Sequence[Neuron | str | tuple[Any, ...]]
"""Rows with neurons, such as those of ``Database.query``; or neurons, as :class:`Neuron`, as
``LAYER:INDEX`` or as ``(layer, index, …)``, which ``Attribution.top`` returns."""

_HOW = "give the rows of db.query(...), or neurons such as kndb.Neuron(2, 641)"


def neurons_of(model: LanguageModel[Any], given: Given) -> tuple[Neuron, ...]:
    """The neurons in order; from rows, each once.

    Raises:
        ModelError: the rows are about a model with other weights.
        UsageError: the rows are about several models or about none, or it is something else.
    """
    check_model(model)
    if isinstance(given, Result):
        _check_weights(model, given)
        return tuple(dict.fromkeys(_of_rows(given)))
    if isinstance(given, Neuron | str) or not isinstance(given, Sequence):
        raise UsageError(f"{given!r:.80} is not a list of neurons; {_HOW}.")
    return tuple(map(_neuron, given))


def _neuron(given: Any) -> Neuron:
    match given:
        case Neuron():
            return given
        case str():
            return Neuron.parse(given)
        case (int(layer), int(index), *_):
            return Neuron(layer, index)
    raise UsageError(f"{given!r:.80} is not a neuron; {_HOW}.")


def _of_rows(found: Result) -> Iterator[Neuron]:
    """From the columns ``layer`` and ``neuron``, or from texts such as ``2:117,3:5``."""
    names = found.columns
    if "layer" in names and "neuron" in names:
        layer, index = names.index("layer"), names.index("neuron")
        yield from (Neuron(row[layer], row[index]) for row in found)
        return
    text = next((name for name in ("neurons", "neuron") if name in names), None)
    if text is None:
        raise UsageError(f"The rows have no column of neurons, only {', '.join(names)}; {_HOW}.")
    for row in found:
        listed = row[names.index(text)] or ""
        yield from map(Neuron.parse, filter(None, listed.split(",")))


def _check_weights(model: LanguageModel[Any], found: Result) -> None:
    info, models = model.info, found.models
    if not models:
        raise UsageError(f"The rows do not say whose neurons they are; {_HOW}.")
    if len(models) > 1:
        raise UsageError(
            f"The rows are about {len(models)} models, {', '.join(sorted(models.values()))}; "
            "choose one in the query, with model=..."
        )
    ((sha256, name),) = models.items()
    if sha256 != info.weights_sha256:
        raise ModelError(
            f"The neurons were found in {name} with weights {sha256[:12]}, but those of "
            f"{info.name} are {info.weights_sha256[:12]}; give the model they were found in."
        )
