"""Numbers that are not finite: which layer has them, in words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Failed(str):
    """Why a question that could be asked has no answer: the model's numbers are not finite."""

    __slots__ = ()


def overflown(neurons: Sequence[Tensor]) -> Tensor:
    """Which layers have an activation that is not finite, ``(rows, n_layers)``.

    Args:
        neurons: per layer, ``(rows, n_neurons)``.
    """
    return torch.stack([~layer.isfinite().all(1) for layer in neurons], 1)


def first_layer(what: str, wrong: Tensor) -> str | None:
    """The first layer that is wrong, in words, or None.

    >>> first_layer("scores", torch.tensor([False, True, True]))
    'the scores of layer 1 are not finite'
    """
    layers = wrong.nonzero().flatten().tolist()
    return f"the {what} of layer {layers[0]} are not finite" if layers else None


def failed(reason: str | None, text: str) -> Failed:
    """The reason with the prompt; without a layer it is the model's output that is not finite."""
    return Failed(f"{reason or 'the output of the model is not finite'} for the prompt {text!r}")
