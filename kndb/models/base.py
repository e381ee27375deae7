"""What the attribution engine asks of a language model: the contract, and its values.

The engine works on *rows*. A row is one run of the model in which, at one layer, the output of the
feed-forward block at the answer position is given from outside. It starts at that layer with the
observed run of its prompt and passes through the layers above only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

Family = Literal["masked_lm", "causal_lm"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the database knows it.

    Attributes:
        name: hub identifier, or the folder's name.
        revision: commit of the hub; empty for a folder.
        architecture: ``config.model_type``.
        family: ``masked_lm`` or ``causal_lm``.
        n_layers: number of transformer layers.
        n_neurons: feed-forward neurons per layer.
        weights_sha256: hash of all stored tensors with their names.
    """

    name: str
    revision: str
    architecture: str
    family: Family
    n_layers: int
    n_neurons: int
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Target:
    """One token of an answer, and the sequence in which the model has to find it.

    Attributes:
        tokens: the whole input sequence.
        position: where the model's prediction is read: the answer position.
        answer: the token to be predicted there.
        words: for each word of the prompt, the positions of its tokens.
        filler: the token that replaces a word in its baseline sentence.
    """

    tokens: tuple[int, ...]
    position: int
    answer: int
    words: tuple[tuple[int, ...], ...]
    filler: int


@dataclass(frozen=True)
class Observed:
    """The observed run of ``n`` prompts of equal length.

    Attributes:
        positions: ``(n,)`` answer positions.
        activations: per layer ``(n, n_neurons)``, the neurons at the answer position.
        logits: ``(n, vocabulary)`` at the answer position, float32.
    """

    positions: Tensor
    activations: list[Tensor]
    logits: Tensor


ObservedT = TypeVar("ObservedT", bound=Observed)


class LanguageModel(ABC, Generic[ObservedT]):
    """A loaded model, seen through its feed-forward blocks.

    Its parameters ask for no gradient and it is in evaluation mode.
    """

    def __init__(self, hf: Any, tokenizer: Any, info: ModelInfo) -> None:
        self.hf = hf
        self.tokenizer = tokenizer
        self.info = info
        self.down: list[nn.Module] = []

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(iter(self.hf.parameters())).device  # type: ignore[no-any-return]

    @property
    def dtype(self) -> torch.dtype:
        """The weights' number format."""
        return next(iter(self.hf.parameters())).dtype  # type: ignore[no-any-return]

    @property
    def width(self) -> int:
        """Size of the residual stream."""
        return int(self.hf.config.hidden_size)

    @abstractmethod
    def targets(self, text: str, answer: str) -> tuple[Target, ...]:
        """Tokenize a prompt with one ``[MASK]`` for its answer; one target per answer token.

        Raises:
            Unusable: this model cannot be asked this prompt; the reason is said.
        """

    @abstractmethod
    def observe(self, tokens: Tensor, positions: Tensor) -> ObservedT:
        """Run prompts ``(n, length)`` as they are and keep what rows start from."""

    @abstractmethod
    def probabilities(
        self, observed: ObservedT, prompts: Tensor, layers: Tensor, outputs: Tensor, answers: Tensor
    ) -> Tensor:
        """The answer's probability in each row, differentiable in ``outputs``.

        Args:
            observed: what :meth:`observe` returned.
            prompts: ``(rows,)``, which of the observed prompts a row belongs to.
            layers: ``(rows,)``, ascending: the layer at which a row starts.
            outputs: ``(rows, width)``, the feed-forward output there, at the answer position.
            answers: ``(rows,)``, the token whose probability is wanted.

        Returns:
            ``(rows,)`` probabilities in float32.
        """

    @abstractmethod
    def neurons(self, tokens: Tensor, positions: Tensor, *, pre: bool = False) -> list[Tensor]:
        """Per layer ``(n, n_neurons)``: neurons of the sequences ``(n, length)`` at a position.

        With ``pre``, the values before the activation function.

        Raises:
            UsageError: ``pre`` is asked of a gated block, where it is not defined.
        """

    @abstractmethod
    def activation(self, layer: int, values: Tensor) -> Tensor:
        """Apply a layer's activation function, for plain (not gated) blocks."""

    @abstractmethod
    def row_bytes(self, length: int) -> int:
        """Memory that one row of a prompt of this length takes in one layer, gradient included."""

    def project(self, layer: int, neurons: Tensor) -> Tensor:
        """Output projection of a layer: ``(…, n_neurons)`` → ``(…, width)``."""
        return self.down[layer](neurons)  # type: ignore[no-any-return]

    def back_project(self, layer: int, gradients: Tensor) -> Tensor:
        """Transpose of the projection: ``(…, width)`` → ``(…, n_neurons)``."""
        weight = self.down[layer].weight
        assert isinstance(weight, Tensor)
        # Linear keeps (width, n_neurons), GPT-2's Conv1D (n_neurons, width).
        linear = isinstance(self.down[layer], nn.Linear)
        return gradients @ (weight if linear else weight.T)

    def projection_bias(self, layer: int) -> Tensor:
        """Bias of the output projection, ``(width,)``; zeros where there is none."""
        bias = getattr(self.down[layer], "bias", None)
        if bias is None:
            return torch.zeros(self.width, device=self.device, dtype=self.dtype)
        assert isinstance(bias, Tensor)
        return bias


def answer_probability(logits: Tensor, answers: Tensor) -> Tensor:
    """Softmax probability of one token per row: ``(rows, vocabulary)``, ``(rows,)`` → ``(rows,)``.

    In float32, whatever the model's number format.
    """
    logits = logits.float()
    chosen = logits.gather(1, answers[:, None])[:, 0]
    return (chosen - logits.logsumexp(dim=1)).exp()
