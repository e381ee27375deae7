"""The layers of masked language models, as Transformers runs them or computed here.

Those computed here can leave out all positions but one, as in the last layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kndb.models.architectures import Encoder, SelfAttention


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


class Layer:
    """One layer as Transformers runs it, with its modules named by :class:`Encoder`.

    Attributes:
        start: the first module of the feed-forward half: it gets what the output is added to.
    """

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
        return _at(self(hidden, call), positions)

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
        return self._new(hidden, hidden)

    def at(self, hidden: Tensor, positions: Tensor, call: Call) -> Tensor:
        """See :meth:`Layer.at`."""
        return self._new(_at(hidden, positions)[:, None], hidden)[:, 0]

    def asked_at(self, positions: Tensor) -> Tensor:
        """See :meth:`Layer.asked_at`."""
        return torch.zeros_like(positions)

    def _new(self, asking: Tensor, hidden: Tensor) -> Tensor:
        """New hidden states of the ``asking`` positions.

        Args:
            asking: ``(rows, positions, width)``, some or all of ``hidden``.
            hidden: ``(rows, length, width)``, the states they attend to.
        """
        q, k, v = (
            self._split(part(x))
            for part, x in ((self.query, asking), (self.key, hidden), (self.value, hidden))
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        attended = self.attention_norm(asking + self.output(mixed))
        return self.finish(attended, self.down(self.activation(self.up(attended))))

    def _split(self, x: Tensor) -> Tensor:
        """``(rows, length, width)`` → ``(rows, heads, length, width / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def make_layers(hf: Any, names: Encoder) -> list[Layer]:
    """A model's layers, from the first to the last."""
    modules, attention = attrgetter(names.layers)(hf), names.attention
    if attention is None:
        return [Layer(module, names) for module in modules]
    heads = hf.config.num_attention_heads
    return [PostNormLayer(module, names, attention, heads) for module in modules]


def _at(hidden: Tensor, positions: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), positions]
