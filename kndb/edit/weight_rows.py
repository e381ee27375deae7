"""A neuron's row of the output projection: what it writes when it fires. Decides no edits.

A neuron's row is a column of a Linear's weight ``(width, n_neurons)`` and a row of the weight
``(n_neurons, width)`` that GPT-2's Conv1D keeps. Here it is always a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kndb.errors import UsageError
from kndb.models import LanguageModel
from kndb.models.base import check_whole
from kndb.models.projections import neuron_rows
from kndb.neurons import Neuron

UNEDITABLE = "its weights cannot be edited; choose a single device with --device"
"""What is said of a spread model."""


def projection_rows(model: LanguageModel[Any], layer: int) -> Tensor:
    """The weight of a layer's output projection as ``(n_neurons, width)``, sharing its memory.

    Raises:
        UsageError: the model is spread over devices.
    """
    check_whole(model, UNEDITABLE)
    return neuron_rows(model.down[layer])


def typical_length(model: LanguageModel[Any], layer: int) -> float:
    """Root mean square length of a layer's rows: how much a neuron writes per unit of activation.

    The measure in which :func:`kndb.edit.directions.pushes` and fits count a change of rows.
    """
    rows = projection_rows(model, layer)
    return float(rows.float().square().sum(1).mean().sqrt())


def read_rows(model: LanguageModel[Any], neurons: Sequence[Neuron]) -> Tensor:
    """A copy of the neurons' rows, ``(neurons, width)``, on the CPU in the model's number format.

    Raises:
        UsageError: the model has no such neuron.
    """
    check_neurons(model, neurons)
    if not neurons:
        return torch.empty(0, model.width, dtype=model.dtype)
    return torch.stack([projection_rows(model, n.layer)[n.index] for n in neurons]).cpu()


@torch.no_grad()
def write_rows(model: LanguageModel[Any], neurons: Sequence[Neuron], rows: Tensor) -> None:
    """Put ``rows`` ``(neurons, width)`` in the place of the neurons' rows.

    Raises:
        UsageError: the model has no such neuron.
    """
    check_neurons(model, neurons)
    for neuron, row in zip(neurons, rows, strict=True):
        projection_rows(model, neuron.layer)[neuron.index].copy_(row)


def check_neurons(model: LanguageModel[Any], neurons: Sequence[Neuron]) -> None:
    """Refuse neurons that the model does not have, and neurons given twice.

    Raises:
        UsageError: there is one.
    """
    info = model.info
    for neuron in neurons:
        if not (0 <= neuron.layer < info.n_layers and 0 <= neuron.index < info.n_neurons):
            raise UsageError(
                f"The model {info.name} has no neuron {neuron}: it has {info.n_layers} layers of "
                f"{info.n_neurons} neurons, counted from 0."
            )
    if len(set(neurons)) < len(neurons):
        raise UsageError("A neuron is named twice; name each neuron to edit once.")
