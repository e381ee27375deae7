"""Causal language models whose structure is in the table: GPT-2, Llama, Gemma and many others.

Nothing before the answer position can change, so a row is a single token that attends to the
observed run's keys and values. The layers themselves are those of Transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from kndb.models.architectures import Decoder
from kndb.models.base import (
    PROMPTS_TOGETHER,
    LanguageModel,
    ModelInfo,
    Observed,
    Rows,
    Target,
    gated,
    gradient_only,
)
from kndb.models.checkpoint import window
from kndb.models.hooks import capture_calls, capture_inputs
from kndb.models.prefix_attention import Prefix, prefix_attention
from kndb.models.shared_beginnings import shared_beginnings
from kndb.models.tokens import causal_targets


@dataclass(frozen=True)
class ObservedPrefix(Observed):
    """Adds what a row needs of each layer.

    Attributes:
        residual: ``(n, width)``, the residual stream at the answer position without the
            feed-forward output.
        keys: ``(n, heads, length, head width)``; a row uses its own in place of the last.
        values: likewise.
        calls: keyword arguments for one token at the answer position, such as its position.
    """

    residual: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    calls: list[dict[str, Any]]


@dataclass(frozen=True)
class _Run:
    """What a run of whole sequences or of their ends gives.

    Attributes:
        last: ``(sequences, tokens, width)``, the last hidden states.
        activated: per layer ``(sequences, n_neurons)``, at the last token.
        neurons: the same, before the activation function where that was asked for.
    """

    last: Tensor
    activated: list[Tensor]
    neurons: list[Tensor]


class CausalLM(LanguageModel[ObservedPrefix]):
    """A causal language model; see :class:`kndb.models.base.LanguageModel`."""

    adapter = "causal"

    def __init__(self, hf: Any, tokenizer: Any, info: ModelInfo, names: Decoder) -> None:
        super().__init__(hf, tokenizer, info)
        self.names = names
        self.layers: list[nn.Module] = list(attrgetter(names.layers)(hf))
        self.down = [attrgetter(names.down)(layer) for layer in self.layers]
        self.norm = attrgetter(names.norm)(hf)
        self.logit_scale = names.logit_scale(hf.config) if names.logit_scale else 1.0

    def targets(self, text: str, answer: str) -> tuple[Target, ...]:
        """See :meth:`LanguageModel.targets`: each token after the prompt and the tokens before."""
        longest = window(self.hf.config, self.names)
        return causal_targets(self.tokenizer, text, answer, longest)

    @torch.no_grad()
    def observe(
        self, tokens: Tensor, positions: Tensor, n: int, *, pre: bool = False
    ) -> tuple[ObservedPrefix, list[Tensor]]:
        """See :meth:`LanguageModel.observe`. The answer position is the last of each sequence."""
        prompts, sentences = tokens[:n], tokens[n:]
        calls: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []
        cache = DynamicCache()
        with capture_calls(self.layers, n, calls):
            ran = self._run(prompts, cache, pre=pre)
        residual = [
            hidden[:, -1] - self._after_down(number, self.project(number, ran.activated[number]))
            for number, (hidden, _, _) in enumerate(calls)
        ]
        observed = ObservedPrefix(
            positions[:n],
            self.logits(ran.last[:, -1] * self.logit_scale),
            residual,
            [self._visible(number, part.keys) for number, part in enumerate(cache.layers)],
            [self._visible(number, part.values) for number, part in enumerate(cache.layers)],
            [_last_token(kwargs, n) for _, _, kwargs in calls],
        )
        parts, order = [ran.neurons], [torch.arange(n, device=tokens.device)]
        for alike in shared_beginnings(sentences, prompts):
            ends = sentences[alike.rows, alike.length :]
            parts.append(self._run(ends, alike.cache(cache), pre=pre).neurons)
            order.append(n + alike.rows)
        back = torch.cat(order).argsort()
        return observed, [torch.cat(layer)[back] for layer in zip(*parts, strict=True)]

    def _run(self, tokens: Tensor, cache: Cache, *, pre: bool) -> _Run:
        """Run sequences ``(sequences, tokens)`` after what the cache has of them."""
        up = self._up() if pre else []
        last_token = torch.full((len(tokens),), tokens.shape[1] - 1, device=tokens.device)
        activated: list[Tensor] = []
        before: list[Tensor] = []
        # No token counts as padding, not even the filler (GPT-2 has just one special token).
        whole = tokens.new_ones(len(tokens), cache.get_seq_length() + tokens.shape[1])
        with (
            capture_inputs(self.down, last_token, activated),
            capture_inputs(up, last_token, before),
        ):
            last = self.hf.base_model(
                input_ids=tokens, attention_mask=whole, past_key_values=cache, use_cache=True
            ).last_hidden_state
        neurons = [module(x) for module, x in zip(up, before, strict=True)] if pre else activated
        return _Run(last, activated, neurons)

    def last_hidden(self, tokens: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.last_hidden`."""
        # No token counts as padding, even if it is the padding token.
        last = self.hf.base_model(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False
        ).last_hidden_state
        return last[rows, positions] * self.logit_scale  # type: ignore[no-any-return]

    def _visible(self, layer: int, states: Tensor) -> Tensor:
        """The part of the prompt that the answer position sees: all of it, or a sliding window."""
        config = self.hf.config
        window = getattr(config, "sliding_window", None)
        kinds = getattr(config, "layer_types", None)
        if kinds is not None and kinds[layer] != "sliding_attention":
            window = None
        start = max(0, states.shape[2] - window) if window else 0
        return states[:, :, start:]

    def _after_down(self, layer: int, outputs: Tensor) -> Tensor:
        if self.names.after_down is None:
            return outputs
        part = getattr(self.layers[layer], self.names.after_down)
        return part(outputs) if callable(part) else part * outputs  # type: ignore[no-any-return]

    def _up(self) -> list[nn.Module]:
        if self.names.up is None:
            raise gated(self.info)
        up = attrgetter(self.names.up)
        return [up(layer) for layer in self.layers]

    def activation(self, layer: int, values: Tensor) -> Tensor:
        """See :meth:`LanguageModel.activation`."""
        assert self.names.activation is not None
        return attrgetter(self.names.activation)(self.layers[layer])(values)  # type: ignore[no-any-return]

    def probabilities(
        self,
        observed: ObservedPrefix,
        prompts: Tensor,
        layers: Tensor,
        outputs: Tensor,
        answers: Tensor,
    ) -> Tensor:
        """See :meth:`LanguageModel.probabilities`."""
        starts = torch.searchsorted(
            layers, torch.arange(len(self.layers) + 1, device=layers.device)
        )
        bounds = starts.tolist()
        prefix = Prefix(observed.keys, observed.values, prompts)
        hidden = outputs[:0]
        for number in range(len(self.layers)):
            if len(hidden):
                hidden = self._through(observed, prefix, number, hidden)
            rows = slice(bounds[number], bounds[number + 1])
            if rows.start < rows.stop:
                new = self._after_down(number, outputs[rows])
                new = observed.residual[number][prompts[rows]] + new
                hidden = torch.cat([hidden, new]) if len(hidden) else new
        return self.read(hidden, answers)

    def observed_probabilities(
        self, observed: ObservedPrefix, prompts: Tensor, outputs: list[Tensor], answers: Tensor
    ) -> Tensor:
        """See :meth:`LanguageModel.observed_probabilities`."""
        prefix = Prefix(observed.keys, observed.values, prompts)
        hidden = observed.residual[0][prompts] + self._after_down(0, outputs[0])
        for number in range(1, len(self.layers)):
            hidden = self._through(observed, prefix, number, hidden)
            hidden = hidden + gradient_only(self._after_down(number, outputs[number]))
        return self.read(hidden, answers)

    def observed_rows(self, observed: ObservedPrefix, layer: int, neurons: Tensor) -> Rows:
        """See :meth:`LanguageModel.observed_rows`; their ``hidden`` is not used."""
        return Rows(observed.residual[layer], observed.residual[layer], neurons)

    def step(
        self,
        observed: ObservedPrefix,
        layer: int,
        hidden: Tensor,
        prompts: Tensor,
        sources: Tensor,
    ) -> tuple[Tensor, Rows]:
        """See :meth:`LanguageModel.step`."""
        found: list[Tensor] = []
        with capture_inputs([self.down[layer]], torch.zeros_like(prompts), found):
            out = self._through(
                observed, Prefix(observed.keys, observed.values, prompts), layer, hidden
            )
        neurons = found[0][sources]
        before = out[sources] - self._after_down(layer, self.project(layer, neurons))
        return out, Rows(out[sources], before, neurons)

    def _through(
        self, observed: ObservedPrefix, prefix: Prefix, layer: int, hidden: Tensor
    ) -> Tensor:
        """Run one token per row, ``(rows, width)``, through one layer."""
        call, module = observed.calls[layer], self.layers[layer]
        if self.names.own_attention:
            call = {**_for_rows(call, len(hidden)), "layer_past": prefix, "past_key_values": prefix}
            out = module(hidden[:, None], **call)
        else:
            with prefix_attention(self.hf.config, prefix):
                out = module(hidden[:, None], **call)
        return (out[0] if isinstance(out, tuple) else out)[:, 0]  # type: ignore[no-any-return]

    def rejoin(self, layer: int, rows: Rows, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.rejoin`."""
        return rows.before + self._after_down(layer, self.project(layer, rows.neurons))

    def read(self, hidden: Tensor, answers: Tensor) -> Tensor:
        """See :meth:`LanguageModel.read`."""
        return self.answer_probability(self.norm(hidden) * self.logit_scale, answers)

    def row_bytes(self, length: int) -> tuple[int, int]:
        """See :meth:`LanguageModel.row_bytes`.

        A row's attention is as wide as all the prompts that are run together.
        """
        neurons, width = 4 * self.info.n_neurons, 8 * self.width
        attention = 3 * self.hf.config.num_attention_heads * PROMPTS_TOGETHER * length
        if self.names.own_attention:  # the keys and values are copied for each row
            attention += 4 * self.width * length
        both = self.dtype.itemsize * (neurons + width + attention)
        return both, both


def _last_token(kwargs: dict[str, Any], sequences: int) -> dict[str, Any]:
    """A layer's keyword arguments, cut down to the last position of one of several sequences."""
    cut: dict[str, Callable[[Any], Any]] = {
        "position_embeddings": lambda rotary: tuple(part[:1, -1:] for part in rotary),
        "position_ids": lambda ids: ids[:1, -1:],
        "attention_mask": lambda mask: mask[:1, :, -1:],
        "alibi": lambda bias: bias[: len(bias) // sequences],
        "position_bias": lambda bias: bias,  # one for all sequences
    }
    return {
        name: None if value is None else cut[name](value)
        for name, value in kwargs.items()
        if name in cut
    }


def _for_rows(call: dict[str, Any], rows: int) -> dict[str, Any]:
    """The same for this many rows: all but ALiBi's biases are broadcast by the layers."""
    bias = call.get("alibi")
    if bias is None:
        return call
    return {**call, "alibi": bias.expand(rows, *bias.shape).flatten(0, 1)}
