"""Where an update pushes: from the old answer's output embedding to the new one's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kndb.models import LanguageModel

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
    """
    distinct = dict.fromkeys(pairs)
    if not distinct:
        return torch.zeros(model.width)
    return torch.stack(
        [_embedding(model, new) - _embedding(model, old) for old, new in distinct]
    ).mean(0)


def _embedding(model: LanguageModel[Any], tokens: Tokens) -> Tensor:
    rows: Tensor = model.unembedding.weight.detach()[list(tokens)]
    return rows.float().mean(0).cpu()
