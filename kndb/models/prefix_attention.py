"""Attention of single-token rows to the keys and values of their prompts, mostly without copies.

The rows of several prompts are multiplied by the keys of all of them at once, and those of other
prompts are masked: for the few prompts of a part, this is cheaper than copying the keys and values
for every row, with the copy's gradient. Only layers that do not use Transformers' attention
interface get such copies, from what they take for their cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from kndb.models.products import sixteen_bits

NAME = "kndb_prefix"


class Prefix:
    """Keys and values of the prompts that rows belong to, without those of the answer position.

    Attributes:
        prompts: ``(rows,)``, each row's prompt.
        unique: the prompts, ascending.
        place: ``(rows,)``, the index of each row's prompt in ``unique``.
    """

    def __init__(self, keys: list[Tensor], values: list[Tensor], prompts: Tensor) -> None:
        self.keys = keys
        self.values = values
        self.prompts = prompts
        self.unique, self.place = torch.unique(prompts, return_inverse=True)
        self._masks: dict[int, Tensor] = {}

    def layer(self, number: int) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, ``(heads, prompts * length, head width)``."""
        keys, values = (
            part[number][self.unique, :, :-1].transpose(0, 1).flatten(1, 2)
            for part in (self.keys, self.values)
        )
        return keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer for each row, ``(rows, heads, length, head width)``.

        A cache of Transformers would return them, too.

        Args:
            key_states: ``(rows, heads, 1, head width)``, the rows' own.
            value_states: likewise.
            layer_idx: the layer.
        """
        prompts = self.prompts[: len(key_states)]
        keys, values = (
            self.keys[layer_idx][prompts, :, :-1],
            self.values[layer_idx][prompts, :, :-1],
        )
        return torch.cat([keys, key_states], dim=2), torch.cat([values, value_states], dim=2)

    def get_seq_length(self) -> int:
        """The length of the prefix, as a cache of Transformers gives it."""
        return self.keys[0].shape[2] - 1

    def mask(self, columns: int, like: Tensor) -> Tensor | None:
        """Minus infinity where a column belongs to another prompt, ``(rows, columns)``."""
        if len(self.unique) == 1:
            return None
        if columns not in self._masks:
            every = torch.arange(len(self.unique), device=self.place.device)
            other = every.repeat_interleave(columns // len(self.unique)) != self.place[:, None]
            mask = torch.zeros(other.shape, dtype=like.dtype, device=like.device)
            self._masks[columns] = mask.masked_fill_(other, -torch.inf)
        return self._masks[columns]


_prefix: ContextVar[Prefix] = ContextVar("prefix")


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    softcap: float | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """A layer's attention output for each row, with the interface that Transformers expects.

    Args:
        module: the attention module, which has its layer's index.
        query: ``(rows, heads, 1, head width)``.
        key: ``(rows, key heads, 1, head width)``, the rows' own.
        value: likewise.
        attention_mask: ignored: a row sees its whole prefix and itself.
        scaling: factor of the products.
        softcap: if given, products are ``softcap * tanh(product / softcap)`` (Gemma 2).
        unused: other arguments, such as dropout.

    Returns:
        ``(rows, 1, heads, head width)``, and None in place of the weights.
    """
    prefix = _prefix.get()
    rows, heads, _, width = query.shape
    groups = key.shape[1]
    keys, values = prefix.layer(module.layer_idx)  # type: ignore[arg-type]
    dtype = query.dtype
    if sixteen_bits(query):  # in float32 no kernel is compiled
        query, key, value, keys, values = (x.float() for x in (query, key, value, keys, values))
    shape = (groups, rows, heads // groups)
    asked = (query * scaling).view(rows, groups, heads // groups, width).transpose(0, 1)
    before = (asked.reshape(groups, -1, width) @ keys.transpose(1, 2)).view(*shape, keys.shape[1])
    own = (asked * key.transpose(0, 1)).sum(-1, keepdim=True)
    products = torch.cat([before, own], dim=-1)
    if softcap is not None:
        products = softcap * torch.tanh(products / softcap)
    mask = prefix.mask(keys.shape[1], query)
    if mask is not None:
        products = products + nn.functional.pad(mask[:rows], (0, 1))[:, None]
    weights = products.softmax(-1, dtype=torch.float32).to(query.dtype)
    mixed = (weights[..., :-1].reshape(groups, -1, keys.shape[1]) @ values).view(*shape, width)
    mixed = mixed + weights[..., -1:] * value.transpose(0, 1)
    return mixed.transpose(0, 1).reshape(rows, 1, heads, width).to(dtype), None


AttentionInterface.register(NAME, attend)


@contextmanager
def prefix_attention(config: Any, prefix: Prefix) -> Iterator[None]:
    """Let the layers of this configuration attend to a prefix within a block."""
    before = config._attn_implementation
    config._attn_implementation = NAME
    token = _prefix.set(prefix)  # not an argument of the layers: some pass none on
    try:
        yield
    finally:
        _prefix.reset(token)
        config._attn_implementation = before
