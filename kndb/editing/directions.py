"""Where an update pushes: from the old answer's output embedding to the new one's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kndb.models import LanguageModel

Tokens = tuple[int, ...]


def direction(model: LanguageModel[Any], pairs: Sequence[tuple[Tokens, Tokens]]) -> Tensor:
    """``E[new] - E[old]``, summed over the pairs (Dai et al. 2022, section 5.2).

    E is the output embedding; an answer of several tokens has the mean of theirs. One pair per
    language raises the new answer in each of them.

    Args:
        model: the model.
        pairs: the tokens of an old answer, and of the new one in its place.

    Returns:
        ``(width,)`` float32 on the CPU; zeros where there are no pairs.
    """
    total = torch.zeros(model.width)
    for old, new in dict.fromkeys(pairs):
        total += _embedding(model, new) - _embedding(model, old)
    return total


def _embedding(model: LanguageModel[Any], tokens: Tokens) -> Tensor:
    rows: Tensor = model.unembedding.weight.detach()[list(tokens)]
    return rows.float().mean(0).cpu()
