"""What the attribution engine needs from a language model: the contract, and its values.

The engine works on *rows*. A row is one run of the model in which, at one layer, the output of the
feed-forward block at the answer position is supplied by the caller. It starts at that layer from
the observed run of its prompt and passes only through the layers above.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from kndb.errors import UsageError
from kndb.models import products
from kndb.models.head import AnswerProbability, capped_logits
from kndb.models.spread import is_spread, main_device

Family = Literal["masked_lm", "causal_lm"]

PROMPTS_TOGETHER = 8
"""How many prompts' rows are run together: enough to fill the matrix products of the lower layers,
where rows are few; a causal model's rows are multiplied by the keys of all these prompts."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as recorded in the database.

    Attributes:
        name: hub identifier, or the folder's name.
        revision: commit on the hub; empty for a folder.
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
    """One token of an answer, and the sequence in which the model has to predict it.

    Attributes:
        tokens: the whole input sequence.
        position: the answer position, where the model's prediction is read.
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
        logits: ``(n, vocabulary)``, at the answer position, float32.
    """

    positions: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Rows:
    """Rows as they leave a layer, with what is needed to change their neurons in it.

    Attributes:
        hidden: the input of the next layer: ``(rows, length, width)`` in a masked model;
            ``(rows, width)``, the answer position, in a causal model and after the last layer. In
            the general adapter, what rows are run from.
        before: ``(rows, width)``, the answer position without the feed-forward output.
        neurons: ``(rows, n_neurons)``, at the answer position.
    """

    hidden: Tensor
    before: Tensor
    neurons: Tensor


ObservedT = TypeVar("ObservedT", bound=Observed)


class LanguageModel(ABC, Generic[ObservedT]):
    """A loaded model, seen through its feed-forward blocks.

    Its parameters require no gradient, and it is in evaluation mode.

    Attributes:
        adapter: which implementation runs it: ``masked``, ``causal`` or ``general``.
    """

    adapter: ClassVar[str]

    def __init__(self, hf: Any, tokenizer: Any, info: ModelInfo) -> None:
        self.hf = hf
        self.tokenizer = tokenizer
        self.info = info
        self.down: list[nn.Module] = []
        self.unembedding = hf.get_output_embeddings()
        self.cap: float | None = getattr(hf.config, "final_logit_softcapping", None)

    def __repr__(self) -> str:
        info = self.info
        return (
            f"<Model {info.name}: {info.architecture}, {info.n_layers} layers of "
            f"{info.n_neurons:,} neurons, {str(self.dtype).removeprefix('torch.')} on "
            f"{self.device}>"
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are; of a spread model, where its input and output are."""
        return main_device(self.hf)

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
            Unusable: this model cannot be asked this prompt; the message gives the reason.
        """

    @abstractmethod
    def observe(
        self, tokens: Tensor, positions: Tensor, n: int, *, pre: bool = False
    ) -> tuple[ObservedT, list[Tensor]]:
        """Run sequences ``(sequences, length)`` and read their neurons at the answer positions.

        Args:
            tokens: the first ``n`` are prompts, the others baseline sentences.
            positions: ``(sequences,)``.
            n: the number of prompts; only their runs are kept for rows to start from.
            pre: read neurons before the activation function.

        Returns:
            The observed run of the prompts, and per layer ``(sequences, n_neurons)``.

        Raises:
            UsageError: ``pre`` is set for a gated block, where it is not defined.
        """

    @abstractmethod
    def last_hidden(self, tokens: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """The output embedding's input at answer positions; pass it on to :meth:`logits`.

        Args:
            tokens: ``(sequences, length)``.
            rows: ``(answers,)``, the sequence in which each answer is read.
            positions: ``(answers,)``, the position in that sequence.

        Returns:
            ``(answers, width)``, differentiable unless gradients are off.
        """

    @abstractmethod
    def probabilities(
        self, observed: ObservedT, prompts: Tensor, layers: Tensor, outputs: Tensor, answers: Tensor
    ) -> Tensor:
        """The answer's probability in each row, differentiable in ``outputs``.

        Args:
            observed: what :meth:`observe` returned.
            prompts: ``(rows,)``, the observed prompt that each row belongs to.
            layers: ``(rows,)``, ascending: the layer at which each row starts.
            outputs: ``(rows, width)``, the feed-forward output there, at the answer position.
            answers: ``(rows,)``, the token whose probability is wanted.

        Returns:
            ``(rows,)`` probabilities in float32.
        """

    @abstractmethod
    def observed_probabilities(
        self, observed: ObservedT, prompts: Tensor, outputs: list[Tensor], answers: Tensor
    ) -> Tensor:
        """The answer's probability in the observed run, differentiable in every layer's output.

        Args:
            observed: what :meth:`observe` returned.
            prompts: ``(rows,)``, the observed prompts to rerun.
            outputs: per layer, ``(rows, width)``: the feed-forward output at the answer position.
            answers: ``(rows,)``, the token whose probability is wanted.

        Returns:
            ``(rows,)`` probabilities in float32.
        """

    @abstractmethod
    def observed_rows(self, observed: ObservedT, layer: int, neurons: Tensor) -> Rows:
        """The observed prompts as rows that have passed a layer.

        Args:
            observed: what :meth:`observe` returned.
            layer: the layer.
            neurons: ``(n, n_neurons)``, the layer's neurons as :meth:`observe` returned them.
        """

    @abstractmethod
    def step(
        self, observed: ObservedT, layer: int, hidden: Tensor, prompts: Tensor, sources: Tensor
    ) -> tuple[Tensor, Rows]:
        """Run rows through one layer.

        Args:
            observed: what :meth:`observe` returned.
            layer: the layer.
            hidden: the rows' output of the layer below.
            prompts: ``(rows,)``, the observed prompt that each row belongs to.
            sources: numbers of the rows from which others branch off here.

        Returns:
            The layer's output for all rows, and the ``sources`` as :class:`Rows`.
        """

    @abstractmethod
    def rejoin(self, layer: int, rows: Rows, positions: Tensor) -> Tensor:
        """A layer's output for rows with other neurons at the answer positions ``(rows,)``.

        ``rows.neurons`` are the new ones; the rest comes from the rows that they branch off from.
        """

    @abstractmethod
    def read(self, hidden: Tensor, answers: Tensor) -> Tensor:
        """Probabilities ``(rows,)`` of the answers, from the last layer's output."""

    @abstractmethod
    def activation(self, layer: int, values: Tensor) -> Tensor:
        """Apply a layer's activation function, for plain (not gated) blocks."""

    @abstractmethod
    def row_bytes(self, length: int) -> tuple[int, int]:
        """Memory of one row of a prompt of this length: in use inside a layer, and kept per layer.

        The second is what autograd keeps for the gradient.
        """

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits ``(rows, vocabulary)``, float32, from the output embedding's input."""
        head = self.unembedding
        return capped_logits(hidden, head.weight, head.bias, self.cap)

    def answer_probability(self, hidden: Tensor, answers: Tensor) -> Tensor:
        """Probability ``(rows,)`` of one token per row, differentiable in ``hidden``."""
        head = self.unembedding
        p: Tensor = AnswerProbability.apply(hidden, head.weight, head.bias, answers, self.cap)  # type: ignore[no-untyped-call]
        return p

    def project(self, layer: int, neurons: Tensor) -> Tensor:
        """Output projection of a layer: ``(…, n_neurons)`` → ``(…, width)``."""
        weight = self.down[layer].weight
        assert isinstance(weight, Tensor)
        # A weight that is elsewhere for now is brought by the module's call, and the input with it.
        own = neurons if weight.is_meta else neurons.to(weight.device)
        return self.down[layer](own).to(neurons.device)  # type: ignore[no-any-return]

    def back_project(self, layer: int, gradients: Tensor) -> Tensor:
        """Transpose of the projection: ``(…, width)`` → ``(…, n_neurons)``."""
        weight = self.down[layer].weight
        assert isinstance(weight, Tensor)
        if weight.is_meta:
            return self._pulled_back(layer, gradients)
        # Linear keeps (width, n_neurons), GPT-2's Conv1D (n_neurons, width).
        linear = isinstance(self.down[layer], nn.Linear)
        own = gradients.to(weight.device)
        return products.linear(own, weight.T if linear else weight).to(gradients.device)

    @torch.enable_grad()
    def _pulled_back(self, layer: int, gradients: Tensor) -> Tensor:
        """The same by autograd, through the module's call."""
        neurons = gradients.new_zeros(
            *gradients.shape[:-1], self.info.n_neurons, requires_grad=True
        )
        (found,) = torch.autograd.grad(self.project(layer, neurons), neurons, gradients)
        return found


def check_model(model: object) -> None:
    """Refuse what is not a loaded model, such as a name.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(model, LanguageModel):
        raise UsageError(
            f"{model!r:.80} is not a loaded model; load one: kndb.load_model('demo-masked')."
        )


def check_whole(model: LanguageModel[Any], otherwise: str) -> None:
    """Refuse a spread model where weights are read or changed.

    Args:
        model: the model.
        otherwise: what does not work then, and what to do.

    Raises:
        UsageError: it is spread over devices.
    """
    if is_spread(model.hf):
        raise UsageError(f"The model {model.info.name} is spread over devices, so {otherwise}.")


def gated(info: ModelInfo) -> UsageError:
    """The error for neurons before the activation function of a gated block."""
    return UsageError(
        f"Pre-activation neurons were asked of {info.architecture}, whose gated block has none; "
        "use a preset with post-activation neurons, such as amig."
    )


def gradient_only(x: Tensor) -> Tensor:
    """Zeros with the gradient of ``x``: add them to a sum that already includes its value."""
    return x - x.detach()
