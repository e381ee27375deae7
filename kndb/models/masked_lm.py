"""Masked language models whose structure is in the table: BERT, RoBERTa, DeBERTa, ModernBERT.

A row runs the whole sequence through the layers above the one it starts at, because every position
attends to the changed one. In the last layer only the answer position matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from kndb.models.architectures import Encoder
from kndb.models.base import (
    LanguageModel,
    ModelInfo,
    Observed,
    Rows,
    Target,
    gated,
    gradient_only,
)
from kndb.models.checkpoint import window
from kndb.models.encoder_layers import Call, Entered, make_layers, replaced
from kndb.models.hooks import capture_calls, capture_inputs
from kndb.models.tokens import masked_targets


@dataclass(frozen=True)
class ObservedSequences(Observed):
    """Adds what a row needs of each layer.

    Attributes:
        hidden: ``(n, length, width)``, outputs of the layer.
        entered: what the layer above makes of each position of them; none for the last.
        attended: ``(n, width)``, its attention half at the answer position.
        calls: the layer's other arguments.
    """

    hidden: list[Tensor]
    entered: list[Entered]
    attended: list[Tensor]
    calls: list[Call]


class MaskedLM(LanguageModel[ObservedSequences]):
    """A masked language model; see :class:`kndb.models.base.LanguageModel`."""

    adapter = "masked"

    def __init__(self, hf: Any, tokenizer: Any, info: ModelInfo, names: Encoder) -> None:
        super().__init__(hf, tokenizer, info)
        self.names = names
        self.layers = make_layers(hf, names)
        self.down = [layer.down for layer in self.layers]
        self.transform = [
            attrgetter(part)(hf) if isinstance(part, str) else part for part in names.transform
        ]
        self.last_norm = attrgetter(names.last_norm)(hf) if names.last_norm else None

    def targets(self, text: str, answer: str) -> tuple[Target, ...]:
        """See :meth:`LanguageModel.targets`: as many masks as the answer has tokens."""
        longest = window(self.hf.config, self.names)
        return masked_targets(self.tokenizer, text, answer, longest)

    @torch.no_grad()
    def observe(
        self, tokens: Tensor, positions: Tensor, n: int, *, pre: bool = False
    ) -> tuple[ObservedSequences, list[Tensor]]:
        """See :meth:`LanguageModel.observe`."""
        if pre and self.names.up is None:
            raise gated(self.info)
        at = torch.arange(n, device=tokens.device)
        neurons: list[Tensor] = []
        attended: list[Tensor] = []
        calls: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []
        with (
            capture_inputs(self.down, positions, neurons),
            capture_inputs([layer.start for layer in self.layers], positions, attended),
            capture_calls([layer.module for layer in self.layers], n, calls),
        ):
            last = self.hf.base_model(input_ids=tokens).last_hidden_state
        if pre:
            neurons = [
                layer.pre_activation(x) for layer, x in zip(self.layers, attended, strict=True)
            ]
        observed = ObservedSequences(
            positions[:n],
            self.logits(self._transformed(last[at, positions[:n]])),
            [hidden for hidden, _, _ in calls],
            [
                above.enter(hidden)
                for above, (hidden, _, _) in zip(self.layers[1:], calls[:-1], strict=True)
            ],
            [x[:n] for x in attended],
            [Call.of_one(args, kwargs) for _, args, kwargs in calls],
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
        starts = torch.searchsorted(
            layers, torch.arange(len(self.layers) + 1, device=layers.device)
        )
        bounds = starts.tolist()
        hidden = outputs[:0]
        for number, layer in enumerate(self.layers):
            rows = slice(bounds[number], bounds[number + 1])
            new = layer.finish(observed.attended[number][prompts[rows]], outputs[rows])
            if number + 1 == len(self.layers):
                hidden = torch.cat([hidden, new])
            elif rows.stop:
                hidden = self._above(observed, number, hidden, prompts[: rows.stop], new)
        return self.read(hidden, answers)

    def _above(
        self, observed: ObservedSequences, number: int, hidden: Tensor, prompts: Tensor, new: Tensor
    ) -> Tensor:
        """The output of the layer above ``number``, in the last layer at the answer position only.

        Args:
            observed: what :meth:`observe` returned.
            number: the layer.
            hidden: its output for the rows that started below it.
            prompts: ``(rows,)``, of these rows and of those that start in it, last.
            new: ``(rows that start in it, width)``, its output for them at the answer position.
        """
        above, old = self.layers[number + 1], len(hidden)
        positions = observed.positions[prompts]
        asking = positions if number + 2 == len(self.layers) else None
        entered = above.enter_changed(
            observed.entered[number], prompts[old:], positions[old:], new, asking
        )
        if old:
            below = above.enter(hidden, asking if asking is None else asking[:old])
            entered = tuple(map(torch.cat, zip(below, entered, strict=True)))
        return above.mix(entered, observed.calls[number + 1], asking)

    def observed_probabilities(
        self, observed: ObservedSequences, prompts: Tensor, outputs: list[Tensor], answers: Tensor
    ) -> Tensor:
        """See :meth:`LanguageModel.observed_probabilities`."""
        positions = observed.positions[prompts]
        at = torch.arange(len(prompts), device=prompts.device)
        final = len(self.layers) - 1
        hidden = observed.hidden[0][prompts]
        for number, layer in enumerate(self.layers):
            call = observed.calls[number]
            new = layer.finish(observed.attended[number][prompts], outputs[number])
            if number == final:
                answer = layer.at(hidden, positions, call) if final else new
                hidden = answer + gradient_only(new)
            elif number:
                hidden = layer(hidden, call)
                hidden = replaced(hidden, positions, hidden[at, positions] + gradient_only(new))
            else:
                hidden = replaced(hidden, positions, new)
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
        asked_at = block.asked_at(positions) if last else positions
        before: list[Tensor] = []
        neurons: list[Tensor] = []
        with (
            capture_inputs([block.start], asked_at, before),
            capture_inputs([block.down], asked_at, neurons),
        ):
            call = observed.calls[layer]
            out = block.at(hidden, positions, call) if last else block(hidden, call)
        return out, Rows(out[sources], before[0][sources], neurons[0][sources])

    def rejoin(self, layer: int, rows: Rows, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.rejoin`."""
        answers = self.layers[layer].finish(rows.before, self.project(layer, rows.neurons))
        last = layer == len(self.layers) - 1
        return answers if last else replaced(rows.hidden, positions, answers)

    def read(self, hidden: Tensor, answers: Tensor) -> Tensor:
        """See :meth:`LanguageModel.read`."""
        if self.last_norm is not None:
            hidden = self.last_norm(hidden)
        return self.answer_probability(self._transformed(hidden), answers)

    def row_bytes(self, length: int) -> tuple[int, int]:
        """See :meth:`LanguageModel.row_bytes`.

        Autograd keeps queries, keys, values, the attention output, two norms and the activations.
        Three quarters are added on top, as the process was measured to grow by more than the sum.
        """
        unit = length * self.dtype.itemsize * 7 // 4
        neurons, width = self.info.n_neurons, self.width
        repeated = 0
        if self.names.relative_positions:  # once for the keys, once for the queries
            embeddings = attrgetter(self.names.relative_positions)(self.hf).weight
            repeated = 2 * embeddings.numel() * self.dtype.itemsize
        return (
            unit * (2 * neurons + 6 * width) + repeated,
            unit * (neurons + 7 * width) + repeated,
        )
