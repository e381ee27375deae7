"""The layers of masked language models, as Transformers runs them or computed here.

Those computed here can leave out all positions but one, as in the last layer. And where a sequence
differs from the observed one at a single position, they take from there what they compute of each
position by itself: queries, keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kndb.models.architectures import Encoder, SelfAttention
from kndb.models.products import sixteen_bits


@dataclass(frozen=True, slots=True)
class Call:
    """What a layer got in the observed run besides the hidden states: masks, positions.

    They are those of a single sequence: as no token counts as padding, all have the same.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of_one(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The arguments of a call for several sequences, cut down to the first."""
        return cls(
            tuple(map(_first, args)), {name: _first(value) for name, value in kwargs.items()}
        )


def _first(value: Any) -> Any:
    """An attention mask ``(sequences, heads, length, length)`` of the first; others unchanged."""
    return value[:1] if isinstance(value, Tensor) and value.dim() == 4 else value


Entered = tuple[Tensor, ...]
"""What a layer computes of each position by itself, each ``(rows, positions, width)``."""


class Layer:
    """One layer as Transformers runs it, with its modules named by :class:`Encoder`.

    Attributes:
        start: the first module of the feed-forward half: it gets what the output is added to.
        n_asking: how many of the tensors of :meth:`enter` only the positions that ask need.
    """

    n_asking = 0

    def __init__(self, module: nn.Module, names: Encoder) -> None:
        def part(name: str | None) -> Any:
            return None if name is None else attrgetter(name)(module)

        self.module = module
        self.up, self.activation, self.down = map(part, (names.up, names.activation, names.down))
        self.norm = part(names.norm)
        self.first_norm = part(names.first_norm)
        self.start: nn.Module = self.up if self.first_norm is None else self.first_norm

    def __call__(self, hidden: Tensor, call: Call) -> Tensor:
        """New hidden states ``(rows, length, width)``."""
        out = self.module(hidden, *call.args, **call.kwargs)
        return out[0] if isinstance(out, tuple) else out  # type: ignore[no-any-return]

    def at(self, hidden: Tensor, positions: Tensor, call: Call) -> Tensor:
        """New hidden states at one position of each row, ``(rows, width)``."""
        return self.mix(self.enter(hidden, positions), call, positions)

    def enter(self, hidden: Tensor, asking: Tensor | None = None) -> Entered:
        """What the layer computes of each position by itself.

        Args:
            hidden: ``(rows, length, width)``, the states of the layer below.
            asking: ``(rows,)``, the only positions whose new states are wanted; all if None.
        """
        return (hidden,)

    def mix(self, entered: Entered, call: Call, asking: Tensor | None = None) -> Tensor:
        """New hidden states from what :meth:`enter` returned: all, or those of ``asking``."""
        new = self(entered[0], call)
        return new if asking is None else _at(new, asking)

    def enter_changed(
        self,
        stored: Entered,
        prompts: Tensor,
        positions: Tensor,
        values: Tensor,
        asking: Tensor | None = None,
    ) -> Entered:
        """What :meth:`enter` would return of prompts that were changed at one position.

        Args:
            stored: what it returned of each prompt, for all positions.
            prompts: ``(rows,)``.
            positions: ``(rows,)``, where they were changed.
            values: ``(rows, width)``, the states there now.
            asking: None, or the same positions: the only ones whose new states are wanted.
        """
        own = self.enter(values[:, None])
        alone = 0 if asking is None else self.n_asking
        shared = zip(stored[alone:], own[alone:], strict=True)
        return (
            *own[:alone],
            *(replaced(old[prompts], positions, new[:, 0]) for old, new in shared),
        )

    def asked_at(self, positions: Tensor) -> Tensor:
        """Where these positions are among those that :meth:`at` computes."""
        return positions

    def pre_activation(self, before: Tensor) -> Tensor:
        """Neurons before the activation function, for plain (not gated) blocks."""
        return self.up(before if self.first_norm is None else self.first_norm(before))  # type: ignore[no-any-return]

    def finish(self, before: Tensor, feed_forward: Tensor) -> Tensor:
        """The layer's output from its attention half and its feed-forward output."""
        after = before + feed_forward
        return after if self.norm is None else self.norm(after)


class PostNormLayer(Layer):
    """A post-norm layer with plain attention, computed here."""

    n_asking = 2

    def __init__(
        self, module: nn.Module, names: Encoder, attention: SelfAttention, heads: int
    ) -> None:
        super().__init__(module, names)
        self.heads = heads
        self.query, self.key, self.value, self.output, self.attention_norm = (
            attrgetter(name)(module)
            for name in (
                *(attention.query, attention.key, attention.value),
                *(attention.output, attention.norm),
            )
        )

    def __call__(self, hidden: Tensor, call: Call) -> Tensor:
        """See :meth:`Layer.__call__`."""
        return self.mix(self.enter(hidden), call)

    def asked_at(self, positions: Tensor) -> Tensor:
        """See :meth:`Layer.asked_at`."""
        return torch.zeros_like(positions)

    def enter(self, hidden: Tensor, asking: Tensor | None = None) -> Entered:
        """See :meth:`Layer.enter`: the states that ask, their queries, all keys, all values."""
        own = hidden if asking is None else _at(hidden, asking)[:, None]
        return own, self.query(own), self.key(hidden), self.value(hidden)

    def mix(self, entered: Entered, call: Call, asking: Tensor | None = None) -> Tensor:
        """See :meth:`Layer.mix`."""
        own, *projected = entered
        q, k, v = map(self._split, projected)
        mixed = attend(q, k, v).transpose(1, 2).flatten(2)
        attended = self.attention_norm(own + self.output(mixed))
        new = self.finish(attended, self.down(self.activation(self.up(attended))))
        return new if asking is None else new[:, 0]

    def _split(self, x: Tensor) -> Tensor:
        """``(rows, length, width)`` → ``(rows, heads, length, width / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


SHORT = 128
"""Keys up to which a processor's attention in 16 bits is three products: more would keep more than
torch's own, the probabilities of every pair."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention without a mask; all are ``(rows, heads, length, width / heads)``.

    torch's gradient in 16 bits takes 12 times as long on a processor (``benchmarks/RESULTS.md``).
    """
    if sixteen_bits(q) and k.shape[-2] <= SHORT:
        scaled = q * q.shape[-1] ** -0.5
        return torch.softmax(scaled @ k.transpose(-1, -2), dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v)


def make_layers(hf: Any, names: Encoder) -> list[Layer]:
    """A model's layers, from the first to the last."""
    modules, attention = attrgetter(names.layers)(hf), names.attention
    if attention is None:
        return [Layer(module, names) for module in modules]
    heads = hf.config.num_attention_heads
    return [PostNormLayer(module, names, attention, heads) for module in modules]


def replaced(hidden: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """``hidden`` ``(rows, length, width)`` with ``values`` ``(rows, width)`` at ``positions``."""
    chosen = positions[:, None] == torch.arange(hidden.shape[1], device=hidden.device)
    return torch.where(chosen[:, :, None], values[:, None], hidden)


def _at(hidden: Tensor, positions: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), positions]
