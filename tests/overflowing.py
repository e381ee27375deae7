"""Models whose numbers overflow for every prompt with a certain word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from kndb.models import LanguageModel, ModelChoice


@contextmanager
def overflowing(model: LanguageModel[Any], token: int) -> Iterator[None]:
    """A model with an infinite embedding of one token, for the length of a block."""
    whole = model.hf.get_input_embeddings().weight
    overflow(model, token)
    try:
        yield
    finally:
        model.hf.get_input_embeddings().weight = whole


def overflow(model: LanguageModel[Any], token: int) -> None:
    """Make the embedding of one token infinite."""
    embedding = model.hf.get_input_embeddings()
    weight = embedding.weight.detach().clone()  # the output embedding may be the same tensor
    weight[token] = torch.inf
    embedding.weight = torch.nn.Parameter(weight, requires_grad=False)


class Overflowing(ModelChoice):
    """A choice whose model overflows for every prompt about Japan."""

    def load(self) -> Any:
        model = super().load()
        own, others = (
            set(model.tokenizer(text, add_special_tokens=False).input_ids)
            for text in (" Japan", " France , Germany , Spain")
        )
        overflow(model, min(own - others))
        return model
