"""What neurons write, in words: their rows of the down projection through the output embedding.

Geva et al. 2022 (section 3) read a neuron's row ``v`` as scores ``E v`` over the vocabulary, with
``E`` the output embedding. That leaves out what lies between a layer and the logits: later layers,
the last normalisation, and in masked models the head's own layer. It says what a neuron promotes,
not what the model answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kndb.errors import UsageError
from kndb.models.base import LanguageModel, check_whole
from kndb.models.products import linear
from kndb.models.projections import neuron_rows
from kndb.neurons import Neuron

TOP = 10
"""Tokens kept at either end."""

_TOGETHER = 64
"""Neurons whose scores over the vocabulary are held at once."""

_PART = 2**15
"""Rows of the output embedding taken to float32 at once."""


class Promoted(NamedTuple):
    """A token that a neuron pushes.

    Attributes:
        neuron: the neuron.
        rank: 1 is pushed up most, -1 is pushed down most.
        token: the token's text.
        logit: what one unit of activation adds to its logit.
    """

    neuron: Neuron
    rank: int
    token: str
    logit: float


def check_readable(
    model: LanguageModel[Any],
    otherwise: str = "its neurons' directions name no tokens; leave out --directions",
) -> None:
    """Refuse a model whose neurons do not write into the space of its output embedding.

    Args:
        model: the model.
        otherwise: what does not work then, and what to do.

    Raises:
        UsageError: the output embedding is not as wide as the residual stream (ALBERT, ELECTRA), or
            the model is spread over devices.
    """
    check_whole(
        model, "its neurons' directions cannot be read; leave out --directions, or --device spread"
    )
    wide = model.unembedding.weight.shape[1]
    if wide != model.width:
        raise UsageError(
            f"The output embedding of the model {model.info.name} is {wide} wide and its residual "
            f"stream {model.width}, so {otherwise}."
        )


@torch.no_grad()
def promoted(
    model: LanguageModel[Any], neurons: Sequence[Neuron], top: int = TOP
) -> Iterator[Promoted]:
    """The tokens that each neuron pushes up and down most.

    Args:
        model: the model.
        neurons: which.
        top: tokens at either end, at most half of the vocabulary.

    Yields:
        ``2 * top`` tokens of each neuron, from rank 1 to ``top`` and from -1 to ``-top``. Equal
        logits are in the order of the vocabulary.

    Raises:
        UsageError: as :func:`check_readable`.
    """
    check_readable(model)
    size = min(len(model.unembedding.weight), len(model.tokenizer))  # embeddings may be padded
    top = min(top, size // 2)
    for start in range(0, len(neurons), _TOGETHER):
        some = neurons[start : start + _TOGETHER]
        rows = torch.stack([neuron_rows(model.down[n.layer])[n.index] for n in some])
        logits = _through(rows, model.unembedding.weight.detach()[:size])
        for sign in (1, -1):
            order = (sign * logits).sort(descending=True, stable=True).indices[:, :top]
            for neuron, tokens, values in zip(some, order.tolist(), logits.tolist(), strict=True):
                for rank, token in enumerate(tokens, 1):
                    yield Promoted(neuron, sign * rank, _text(model, token), values[token])


def _through(rows: Tensor, embedding: Tensor) -> Tensor:
    """``rows E^T``, ``(rows, vocabulary)``, in float32 on the CPU."""
    parts = [linear(rows.float(), part.float()) for part in torch.split(embedding, _PART)]
    return torch.cat(parts, 1).cpu()


def _text(model: LanguageModel[Any], token: int) -> str:
    """The token as text; as its name where it is only a part of a character."""
    text: str = model.tokenizer.decode([token], clean_up_tokenization_spaces=False)
    if text and "\ufffd" not in text:
        return text
    return str(model.tokenizer.convert_ids_to_tokens(token))
