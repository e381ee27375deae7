"""Sequences that begin like a prompt, run from where they differ from it.

In a causal model a token changes nothing before it: a baseline sentence has the prompt's keys and
values up to its first other token. On average half of its tokens need not be run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

ENOUGH_TOKENS = 64
"""Sequences are run together, the longest beginnings first, until they have this many tokens to
run: with fewer, most of the time goes into reading the weights."""


@dataclass(frozen=True)
class Alike:
    """Sequences that share their first ``length`` tokens with a prompt.

    Attributes:
        rows: ``(alike,)``, their numbers.
        prompts: ``(alike,)``, the prompt of each.
        length: the number of tokens that need not be run; at least one is left.
    """

    rows: Tensor
    prompts: Tensor
    length: int

    def cache(self, cache: Cache) -> Cache:
        """The shared keys and values, of the prompts' ``cache``."""
        return Cache(
            layers=[_Beginning(layer, self.prompts, self.length) for layer in cache.layers]
        )


def shared_beginnings(sequences: Tensor, prompts: Tensor) -> Iterator[Alike]:
    """Parts of the sequences that are to be run together.

    Args:
        sequences: ``(sequences, length)`` tokens.
        prompts: ``(prompts, length)`` tokens.
    """
    lengths, owners = (sequences.new_zeros(len(sequences)) for _ in range(2))
    for number, prompt in enumerate(prompts):
        same = (sequences == prompt).long().cumprod(1).sum(1)
        owners = torch.where(same > lengths, number, owners)
        lengths = torch.maximum(same, lengths)
    lengths = lengths.clamp(max=sequences.shape[1] - 1)
    order = lengths.argsort(descending=True, stable=True)
    start = 0
    for stop, length in _ends(lengths[order].tolist(), sequences.shape[1]):
        rows = order[start:stop]
        yield Alike(rows, owners[rows], length)
        start = stop


def _ends(lengths: list[int], whole: int) -> Iterator[tuple[int, int]]:
    """Where a part of the sequences ends, and how long the beginning is that all of it share."""
    start = 0
    for stop, length in enumerate(lengths, start=1):
        last = stop == len(lengths)
        if last or (length != lengths[stop] and (stop - start) * (whole - length) >= ENOUGH_TOKENS):
            yield stop, length
            start = stop


class _Beginning(DynamicLayer):  # type: ignore[misc]
    """A layer's keys and values of the prompts' first tokens, for each sequence that shares them.

    It keeps none of the sequences' own, which nothing asks for again.
    """

    def __init__(self, layer: Any, prompts: Tensor, length: int) -> None:
        super().__init__()
        self.of, self.prompts, self.length = layer, prompts, length

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of whole sequences, from those of the tokens that are run."""
        both = ((self.of.keys, key_states), (self.of.values, value_states))
        keys, values = (
            torch.cat([kept[self.prompts, :, : self.length], new], dim=2) for kept, new in both
        )
        return keys, values

    def get_seq_length(self) -> int:
        """The number of tokens before those that are run."""
        return self.length
