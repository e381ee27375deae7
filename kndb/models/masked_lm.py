"""Masked language models of post-norm layers: BERT, RoBERTa, XLM-R, DistilBERT, ELECTRA.

A row runs the whole sequence through the layers above the one it starts at, because every position
attends to the changed one. In the last layer only the answer position is computed, and in a row's
first layer the other positions' queries, keys and values are those of the observed run.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kndb.models.architectures import Encoder
from kndb.models.base import LanguageModel, ModelInfo, Observed, Rows, Target, gradient_only
from kndb.models.checkpoint import window
from kndb.models.hooks import capture_calls, capture_inputs
from kndb.models.tokens import masked_targets


class Layer:
    """One post-norm encoder layer, with its modules named by :class:`Encoder`."""

    def __init__(self, module: nn.Module, names: Encoder, heads: int) -> None:
        self.module = module
        self.heads = heads
        self.query, self.key, self.value, self.output = (
            attrgetter(name)(module) for name in (names.query, names.key, names.value, names.output)
        )
        self.attention_norm = attrgetter(names.attention_norm)(module)
        self.up = attrgetter(names.up)(module)
        self.activation = attrgetter(names.activation)(module)
        self.down = attrgetter(names.down)(module)
        self.norm = attrgetter(names.norm)(module)

    def __call__(self, asking: Tensor, hidden: Tensor) -> Tensor:
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

    def finish(self, attended: Tensor, feed_forward: Tensor) -> Tensor:
        """The layer's output from its attention half and its feed-forward output."""
        return self.norm(attended + feed_forward)  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        """``(rows, length, width)`` → ``(rows, heads, length, width / heads)``."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


@dataclass(frozen=True)
class ObservedSequences(Observed):
    """Adds what a row needs of each layer.

    Attributes:
        hidden: ``(n, length, width)``, outputs of the layer.
        attended: ``(n, width)``, its attention half at the answer position.
    """

    hidden: list[Tensor]
    attended: list[Tensor]


class MaskedLM(LanguageModel[ObservedSequences]):
    """A masked language model; see :class:`kndb.models.base.LanguageModel`."""

    adapter = "masked"

    def __init__(self, hf: Any, tokenizer: Any, info: ModelInfo, names: Encoder) -> None:
        super().__init__(hf, tokenizer, info)
        self.names = names
        heads = hf.config.num_attention_heads
        self.layers = [Layer(m, names, heads) for m in attrgetter(names.layers)(hf)]
        self.down = [layer.down for layer in self.layers]
        self.transform = [
            attrgetter(part)(hf) if isinstance(part, str) else part for part in names.transform
        ]

    def targets(self, text: str, answer: str) -> tuple[Target, ...]:
        """See :meth:`LanguageModel.targets`: as many masks as the answer has tokens."""
        longest = window(self.hf.config, self.names)
        return masked_targets(self.tokenizer, text, answer, longest)

    @torch.no_grad()
    def observe(
        self, tokens: Tensor, positions: Tensor, n: int, *, pre: bool = False
    ) -> tuple[ObservedSequences, list[Tensor]]:
        """See :meth:`LanguageModel.observe`."""
        at = torch.arange(n, device=tokens.device)
        neurons: list[Tensor] = []
        attended: list[Tensor] = []
        calls: list[tuple[Tensor, dict[str, Any]]] = []
        with (
            capture_inputs(self.down, positions, neurons),
            capture_inputs([layer.up for layer in self.layers], positions, attended),
            capture_calls([layer.module for layer in self.layers], n, calls),
        ):
            last = self.hf.base_model(input_ids=tokens).last_hidden_state
        if pre:
            neurons = [layer.up(x) for layer, x in zip(self.layers, attended, strict=True)]
        observed = ObservedSequences(
            positions[:n],
            self.logits(self._transformed(last[at, positions[:n]])),
            [hidden for hidden, _ in calls],
            [x[:n] for x in attended],
        )
        return observed, neurons

    def last_hidden(self, tokens: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.last_hidden`."""
        last = self.hf.base_model(input_ids=tokens).last_hidden_state
        return self._transformed(last[rows, positions])

    def activation(self, layer: int, values: Tensor) -> Tensor:
        """See :meth:`LanguageModel.activation`."""
        return self.layers[layer].activation(values)  # type: ignore[no-any-return]

    def probabilities(
        self,
        observed: ObservedSequences,
        prompts: Tensor,
        layers: Tensor,
        outputs: Tensor,
        answers: Tensor,
    ) -> Tensor:
        """See :meth:`LanguageModel.probabilities`."""
        positions = observed.positions[prompts]
        starts = torch.searchsorted(
            layers, torch.arange(len(self.layers) + 1, device=layers.device)
        )
        bounds = starts.tolist()
        final = len(self.layers) - 1
        hidden: Tensor | None = None
        born = outputs[:0]
        for number, layer in enumerate(self.layers):
            if hidden is not None and number == final:
                at = torch.arange(len(hidden), device=hidden.device)
                answer = hidden[at, positions[: len(hidden)]]
                born = layer(answer[:, None], hidden)[:, 0]
            elif hidden is not None:
                hidden = layer(hidden, hidden)
            rows = slice(bounds[number], bounds[number + 1])
            if rows.start == rows.stop:
                continue
            new = layer.finish(observed.attended[number][prompts[rows]], outputs[rows])
            if number == final:
                born = torch.cat([born, new])
            else:
                sequences = _replace(observed.hidden[number][prompts[rows]], positions[rows], new)
                hidden = sequences if hidden is None else torch.cat([hidden, sequences])
        return self.read(born, answers)

    def observed_probabilities(
        self, observed: ObservedSequences, prompts: Tensor, outputs: list[Tensor], answers: Tensor
    ) -> Tensor:
        """See :meth:`LanguageModel.observed_probabilities`."""
        positions = observed.positions[prompts]
        at = torch.arange(len(prompts), device=prompts.device)
        final = len(self.layers) - 1
        hidden = observed.hidden[0][prompts]
        for number, layer in enumerate(self.layers):
            new = layer.finish(observed.attended[number][prompts], outputs[number])
            if number == final:
                answer = layer(hidden[at, positions][:, None], hidden)[:, 0] if final else new
                hidden = answer + gradient_only(new)
            elif number:
                hidden = layer(hidden, hidden)
                hidden = _replace(hidden, positions, hidden[at, positions] + gradient_only(new))
            else:
                hidden = _replace(hidden, positions, new)
        return self.read(hidden, answers)

    def _transformed(self, hidden: Tensor) -> Tensor:
        """The output embedding's input."""
        for part in self.transform:
            hidden = part(hidden)
        return hidden

    def observed_rows(self, observed: ObservedSequences, layer: int, neurons: Tensor) -> Rows:
        """See :meth:`LanguageModel.observed_rows`; the last layer's ``hidden`` is not used."""
        before = observed.attended[layer]
        last = layer == len(self.layers) - 1
        return Rows(before if last else observed.hidden[layer], before, neurons)

    def step(
        self,
        observed: ObservedSequences,
        layer: int,
        hidden: Tensor,
        prompts: Tensor,
        sources: Tensor,
    ) -> tuple[Tensor, Rows]:
        """See :meth:`LanguageModel.step`."""
        block = self.layers[layer]
        last = layer == len(self.layers) - 1
        positions = observed.positions[prompts]
        asking = hidden
        if last:
            asking = hidden[torch.arange(len(hidden), device=hidden.device), positions][:, None]
            positions = torch.zeros_like(positions)
        before: list[Tensor] = []
        neurons: list[Tensor] = []
        with (
            capture_inputs([block.up], positions, before),
            capture_inputs([block.down], positions, neurons),
        ):
            out = block(asking, hidden)
        out = out[:, 0] if last else out
        return out, Rows(out[sources], before[0][sources], neurons[0][sources])

    def rejoin(self, layer: int, rows: Rows, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.rejoin`."""
        answers = self.layers[layer].finish(rows.before, self.project(layer, rows.neurons))
        last = layer == len(self.layers) - 1
        return answers if last else _replace(rows.hidden, positions, answers)

    def read(self, hidden: Tensor, answers: Tensor) -> Tensor:
        """See :meth:`LanguageModel.read`."""
        return self.answer_probability(self._transformed(hidden), answers)

    def row_bytes(self, length: int) -> tuple[int, int]:
        """See :meth:`LanguageModel.row_bytes`.

        Autograd keeps queries, keys, values, the attention output, two norms and the activations.
        Three quarters are added on top, as the process was measured to grow by more than the sum.
        """
        unit = length * self.dtype.itemsize * 7 // 4
        neurons, width = self.info.n_neurons, self.width
        return unit * (2 * neurons + 6 * width), unit * (neurons + 7 * width)


def _replace(hidden: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """``hidden`` ``(rows, length, width)`` with ``values`` ``(rows, width)`` at ``positions``."""
    chosen = positions[:, None] == torch.arange(hidden.shape[1], device=hidden.device)
    return torch.where(chosen[:, :, None], values[:, None], hidden)
