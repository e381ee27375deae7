"""What an edit changes in a model's weights: the rows of some neurons, before and after.

A delta is made against one set of weights, known by its hash, and fits no other. It keeps rows in
the number format that the weights are stored in, so that taking it back gives the same bits. It
opens no database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kndb.edit.given import Given, neurons_of
from kndb.edit.weight_rows import read_rows
from kndb.errors import KndbError, UsageError
from kndb.models import LanguageModel
from kndb.neurons import Neuron


@dataclass(frozen=True)
class Delta:
    """Rows of the output projections, before and after an edit.

    Attributes:
        weights_sha256: of the weights it was made against.
        neurons: whose rows.
        before: ``(neurons, width)``, in the number format of the stored weights.
        after: the same shape and format.
    """

    weights_sha256: str
    neurons: tuple[Neuron, ...]
    before: Tensor
    after: Tensor

    def to_bytes(self) -> bytes:
        """As a safetensors file: ``neurons`` (layer, index), ``before`` and ``after``."""
        places = torch.tensor([(n.layer, n.index) for n in self.neurons], dtype=torch.int32)
        tensors = {
            "neurons": places.view(-1, 2),
            "before": self.before.contiguous(),
            "after": self.after.contiguous(),
        }
        return bytes(save(tensors, {"weights_sha256": self.weights_sha256, "format": "pt"}))

    @classmethod
    def from_bytes(cls, data: bytes) -> Delta:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            KndbError: the bytes are damaged.
        """
        try:
            tensors = load(data)
            places = tensors["neurons"].tolist()
            neurons = tuple(Neuron(layer, index) for layer, index in places)
            sha256 = _metadata(data)["weights_sha256"]
            return cls(sha256, neurons, tensors["before"], tensors["after"])
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise KndbError(
                f"The stored weight change is damaged: {error}; make the edit again."
            ) from error


def _metadata(data: bytes) -> dict[str, Any]:
    """The metadata of a safetensors file: in a JSON header after its length in 8 bytes."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, Any] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found


def erase(model: LanguageModel[Any], neurons: Given, before: Tensor | None = None) -> Delta:
    """Silence neurons: their rows become 0.

    Args:
        model: the model; it is left as it is.
        neurons: the neurons to edit, or the rows of a query.
        before: their rows as stored, where these are not in the model's own number format.

    Raises:
        ModelError: the rows are about a model with other weights.
        UsageError: the model has no such neuron.
    """
    own = neurons_of(model, neurons)
    before = read_rows(model, own) if before is None else before
    return Delta(model.info.weights_sha256, own, before, torch.zeros_like(before))


def update(
    model: LanguageModel[Any],
    neurons: Given,
    directions: Tensor,
    before: Tensor | None = None,
) -> Delta:
    """The neurons write ``directions`` on top of what they wrote (Dai et al. 2022, section 5.2).

    Args:
        model: the model; it is left as it is.
        neurons: the neurons to edit, or the rows of a query.
        directions: ``(width,)`` for all of them, or ``(neurons, width)``; see
            :func:`kndb.edit.directions.direction`.
        before: as for :func:`erase`.

    Raises:
        ModelError: the rows are about a model with other weights.
        UsageError: the model has no such neuron, or the number format cannot hold the sum.
    """
    own = neurons_of(model, neurons)
    before = read_rows(model, own) if before is None else before
    after = (before.float() + directions.float().cpu()).to(before.dtype)
    if not after.isfinite().all():
        raise UsageError(
            f"The new weights do not fit into {str(before.dtype).removeprefix('torch.')}; "
            "give a smaller --lambda, or neurons that fire more strongly."
        )
    return Delta(model.info.weights_sha256, own, before, after)
