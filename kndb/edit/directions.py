"""Where an update pushes each neuron: from the old answer's output embedding to the new one's.

Dai et al. 2022 (section 5.2) add ``lambda (E[new] - E[old])`` to the row of every neuron, which
takes all activations to be positive. A neuron writes its activation times its row, so where the
activation is negative, as for half of a gated block's neurons, that pushes away from the new
answer. Here each row gets

    lambda * s * r * (E[new] - E[old]) / |E[new] - E[old]|

with ``s`` the neuron's activation divided by the largest absolute one among the edited neurons, and
``r`` the typical (root mean square) length of its layer's rows. So lambda is a length in rows: at 1
the row of the most active neuron changes by as much as a row of its layer is long, in any model,
whatever the scale of its embeddings, rows or activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kndb.edit.weight_rows import UNEDITABLE, check_neurons, typical_length
from kndb.models import LanguageModel
from kndb.models.base import check_whole
from kndb.models.vocabulary import check_readable
from kndb.neurons import Neuron

Tokens = tuple[int, ...]


def direction(model: LanguageModel[Any], pairs: Sequence[tuple[Tokens, Tokens]]) -> Tensor:
    """``E[new] - E[old]`` of one language (Dai et al. 2022, section 5.2).

    E is the output embedding; an answer of several tokens has the mean of theirs. Where templates
    inflect the answers, their pairs are averaged.

    Args:
        model: the model.
        pairs: the tokens of an old answer, and of the new one in its place.

    Returns:
        ``(width,)`` float32 on the CPU; zeros where there are no pairs.

    Raises:
        UsageError: the output embedding is not as wide as the residual stream (ALBERT, ELECTRA), or
            the model is spread over devices.
    """
    check_whole(model, UNEDITABLE)
    check_readable(
        model,
        "no direction towards an answer can be added to its neurons; use the mode fit instead",
    )
    distinct = dict.fromkeys(pairs)
    if not distinct:
        return torch.zeros(model.width)
    return torch.stack(
        [_embedding(model, new) - _embedding(model, old) for old, new in distinct]
    ).mean(0)


def pushes(
    model: LanguageModel[Any], neurons: Sequence[Neuron], activations: Tensor, towards: Tensor
) -> Tensor:
    """What an update with lambda 1 adds to the neurons' rows, ``(neurons, width)``.

    Args:
        model: the model.
        neurons: the edited ones.
        activations: ``(neurons,)`` at the answer position, sign included; see
            :func:`kndb.edit.activations.mean_activations`.
        towards: ``(width,)``, what :func:`direction` returns.

    Returns:
        Float32 on the CPU; zeros where all neurons are silent or the answers are the same.

    Raises:
        UsageError: the model has no such neuron.
    """
    check_neurons(model, neurons)
    lengths = {layer: typical_length(model, layer) for layer in {n.layer for n in neurons}}
    rows = torch.tensor([lengths[neuron.layer] for neuron in neurons])
    return (shares(activations) * rows)[:, None] * unit(towards)


def shares(activations: Tensor) -> Tensor:
    """Each activation divided by the largest absolute one.

    >>> shares(torch.tensor([0.5, -2.0]))
    tensor([ 0.2500, -1.0000])
    """
    largest = activations.abs().max() if len(activations) else torch.tensor(0.0)
    return activations / largest if largest > 0 else torch.zeros_like(activations)


def unit(vector: Tensor) -> Tensor:
    """The vector at length 1; zeros stay zeros."""
    return torch.nn.functional.normalize(vector, dim=0)


def _embedding(model: LanguageModel[Any], tokens: Tokens) -> Tensor:
    rows: Tensor = model.unembedding.weight.detach()[list(tokens)]
    return rows.float().mean(0).cpu()
