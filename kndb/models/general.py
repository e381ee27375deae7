"""Any language model of Transformers whose down projections can be found: the general adapter.

It knows nothing of the layers but their down projections, which it patches with hooks, and runs
whole sequences from the first layer to the last. So it is slower than the other adapters, and
equals them. It also runs every model that is spread over devices: what it puts into a layer goes to
that layer's device, and what it reads comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kndb.errors import ModelError, UsageError
from kndb.models.base import LanguageModel, ModelInfo, Observed, Rows, Target, gradient_only
from kndb.models.checkpoint import general_window
from kndb.models.hooks import capture_inputs
from kndb.models.tokens import causal_targets, masked_targets


@dataclass(frozen=True)
class ObservedTokens(Observed):
    """Adds what a row is run from.

    Attributes:
        tokens: ``(n, length)``.
    """

    tokens: Tensor


Change = Callable[[int, Tensor], Tensor]
"""From a layer and its feed-forward output, ``(rows, length, width)``, to another output."""


class General(LanguageModel[ObservedTokens]):
    """Any masked or causal language model; see :class:`kndb.models.base.LanguageModel`.

    The state of a row (``Rows.hidden``) is all that it is run from: the answer position, the
    tokens, and for each layer the output that replaces that of its feed-forward block, NaN where
    none does. ``Rows.before`` is empty.
    """

    adapter = "general"

    def __init__(self, hf: Any, tokenizer: Any, info: ModelInfo, down: Sequence[nn.Module]) -> None:
        super().__init__(hf, tokenizer, info)
        self.down = list(down)

    def check_runs(self) -> None:
        """Check that a run calls each down projection once, with one vector for each token.

        Raises:
            ModelError: it does not.
        """
        seen: list[Tensor] = []
        tokens, last = self._few_tokens(), torch.tensor([0], device=self.device)
        at = self._read_at(tokens, last + tokens.shape[1] - 1)
        with torch.no_grad(), ExitStack() as stack:
            for module in self.down:
                hook = module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
                stack.callback(hook.remove)
            self.last_hidden(tokens, last[:0], last[:0])
        if [x.numel() // x.shape[-1] for x in seen] != [int(at) + 1] * len(self.down):
            raise ModelError(
                f"The model {self.info.name} ({self.info.architecture}) does not run each of its "
                "feed-forward blocks once on each token, as the general adapter needs; give a "
                "model of another architecture."
            )

    def _few_tokens(self) -> Tensor:
        """Any short sequence, ``(1, length)``."""
        return torch.tensor([[0, 0, 0]], device=self.device)

    @property
    def width(self) -> int:
        """See :attr:`LanguageModel.width`."""
        return int(self.hf.config.get_text_config(decoder=True).hidden_size)

    def targets(self, text: str, answer: str) -> tuple[Target, ...]:
        """See :meth:`LanguageModel.targets`."""
        ask = masked_targets if self.info.family == "masked_lm" else causal_targets
        return ask(self.tokenizer, text, answer, general_window(self.hf))

    @torch.no_grad()
    def observe(
        self, tokens: Tensor, positions: Tensor, n: int, *, pre: bool = False
    ) -> tuple[ObservedTokens, list[Tensor]]:
        """See :meth:`LanguageModel.observe`."""
        if pre:
            raise UsageError(
                f"Pre-activation neurons were asked of {self.info.architecture}, which kndb runs "
                "through its general adapter, which has none; use a preset with post-activation "
                "neurons, such as amig."
            )
        neurons: list[Tensor] = []
        rows = torch.arange(n, device=tokens.device)
        with capture_inputs(self.down, self._read_at(tokens, positions), neurons):
            logits = self.last_hidden(tokens, rows, positions[:n])
        return ObservedTokens(positions[:n], logits.float(), tokens[:n]), neurons

    def last_hidden(self, tokens: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.last_hidden`: here, the logits themselves."""
        at = self._read_at(tokens[rows], positions)

        def choose(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            sequences = args[0].view(len(tokens), -1, args[0].shape[-1])
            return (sequences[rows.to(sequences.device), at.to(sequences.device)][:, None],)

        handle = self.unembedding.register_forward_pre_hook(choose)
        try:
            logits = self.hf(**self._inputs(tokens)).logits
        finally:
            handle.remove()
        return logits.flatten(1).to(tokens.device)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """See :meth:`LanguageModel.logits`: ``hidden`` is what :meth:`last_hidden` returns."""
        return hidden.float()

    def _inputs(self, tokens: Tensor) -> dict[str, Any]:
        """The arguments of a run: no token counts as padding, even if it is the padding token."""
        inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        return inputs if self.info.family == "masked_lm" else {**inputs, "use_cache": False}

    def _read_at(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """The positions in the sequence that the down projections and the head get."""
        return positions

    def _p(self, tokens: Tensor, positions: Tensor, answers: Tensor, change: Change) -> Tensor:
        """The answers' probabilities ``(rows,)`` with feed-forward outputs changed."""
        rows = torch.arange(len(tokens), device=tokens.device)
        with self._changed(len(tokens), change):
            logits = self.last_hidden(tokens, rows, positions)
        return logits.float().softmax(-1).gather(1, answers[:, None])[:, 0]

    @contextmanager
    def _changed(self, rows: int, change: Change) -> Iterator[None]:
        def hook(layer: int) -> Any:
            def put(module: nn.Module, args: Any, output: Tensor) -> Tensor:
                sequences = output.view(rows, -1, output.shape[-1])
                return change(layer, sequences).view_as(output)

            return put

        with ExitStack() as stack:
            for layer, module in enumerate(self.down):
                stack.callback(module.register_forward_hook(hook(layer)).remove)
            yield

    def probabilities(
        self,
        observed: ObservedTokens,
        prompts: Tensor,
        layers: Tensor,
        outputs: Tensor,
        answers: Tensor,
    ) -> Tensor:
        """See :meth:`LanguageModel.probabilities`."""
        tokens, positions = observed.tokens[prompts], observed.positions[prompts]
        at = self._read_at(tokens, positions)

        def start(layer: int, sequences: Tensor) -> Tensor:
            return _replaced(sequences, at, outputs, layers == layer)

        return self._p(tokens, positions, answers, start)

    def observed_probabilities(
        self, observed: ObservedTokens, prompts: Tensor, outputs: list[Tensor], answers: Tensor
    ) -> Tensor:
        """See :meth:`LanguageModel.observed_probabilities`."""
        tokens, positions = observed.tokens[prompts], observed.positions[prompts]
        at = self._read_at(tokens, positions)
        rows = torch.arange(len(tokens), device=tokens.device)

        def follow(layer: int, sequences: Tensor) -> Tensor:
            here = sequences[rows.to(sequences.device), at.to(sequences.device)]
            own = here + gradient_only(outputs[layer]).to(sequences.device)
            return _replaced(sequences, at, own, torch.ones_like(rows, dtype=torch.bool))

        return self._p(tokens, positions, answers, follow)

    def observed_rows(self, observed: ObservedTokens, layer: int, neurons: Tensor) -> Rows:
        """See :meth:`LanguageModel.observed_rows`."""
        n = len(observed.tokens)
        unchanged = torch.full((n, len(self.down) * self.width), torch.nan, device=neurons.device)
        state = torch.cat([observed.positions[:, None], observed.tokens, unchanged], 1)
        return Rows(state, state[:, :0], neurons)

    def _unpack(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, answer positions, and outputs ``(rows, layers, width)`` of rows."""
        outputs = len(self.down) * self.width
        positions, tokens = state[:, 0].long(), state[:, 1:-outputs].long()
        return tokens, positions, state[:, -outputs:].view(-1, len(self.down), self.width)

    def step(
        self,
        observed: ObservedTokens,
        layer: int,
        hidden: Tensor,
        prompts: Tensor,
        sources: Tensor,
    ) -> tuple[Tensor, Rows]:
        """See :meth:`LanguageModel.step`: only the sources' neurons need a run."""
        state = hidden[sources]
        if not len(sources):
            none = torch.empty(0, self.info.n_neurons, dtype=self.dtype, device=self.device)
            return hidden, Rows(state, state[:, :0], none)
        tokens, positions, _ = self._unpack(state)
        neurons: list[Tensor] = []
        with capture_inputs([self.down[layer]], self._read_at(tokens, positions), neurons):
            self.read(state, torch.zeros_like(positions))
        return hidden, Rows(state, state[:, :0], neurons[0])

    def rejoin(self, layer: int, rows: Rows, positions: Tensor) -> Tensor:
        """See :meth:`LanguageModel.rejoin`."""
        state = rows.hidden.clone()
        outputs = self.project(layer, rows.neurons).to(state.dtype)
        self._unpack(state)[2][:, layer] = outputs
        return state

    def read(self, hidden: Tensor, answers: Tensor) -> Tensor:
        """See :meth:`LanguageModel.read`."""
        tokens, positions, outputs = self._unpack(hidden)
        at = self._read_at(tokens, positions)

        def put(layer: int, sequences: Tensor) -> Tensor:
            own = outputs[:, layer]
            return _replaced(sequences, at, own.to(sequences.dtype), ~own[:, 0].isnan())

        return self._p(tokens, positions, answers, put)

    def activation(self, layer: int, values: Tensor) -> Tensor:
        """See :meth:`LanguageModel.activation`: never called, as no neurons are pre-activation."""
        raise NotImplementedError

    def row_bytes(self, length: int) -> tuple[int, int]:
        """See :meth:`LanguageModel.row_bytes`."""
        neurons, width, layers = self.info.n_neurons, self.width, self.info.n_layers
        layer = length * self.dtype.itemsize * (3 * neurons + 12 * width)
        logits = 12 * len(self.unembedding.weight)
        state = 8 * (1 + length + layers * width)
        return layer + logits + state, layer


def _replaced(sequences: Tensor, at: Tensor, values: Tensor, chosen: Tensor) -> Tensor:
    """``sequences`` ``(rows, length, width)`` with ``values`` at the positions of chosen rows.

    Args:
        sequences: outputs of a feed-forward block.
        at: ``(rows,)``, a position in each.
        values: ``(rows, width)``.
        chosen: ``(rows,)``, whether the value replaces that in the sequence.

    The sequences of a spread model are where their layer is; what comes into them goes there.
    """
    if not chosen.any():
        return sequences
    rows = chosen.nonzero().flatten()
    there = sequences.device
    return sequences.index_put((rows.to(there), at[rows].to(there)), values[rows].to(there))
