"""Suppress and enhance neurons for the length of a block, without touching a weight.

Works with any code that runs the Transformers model (``model.hf``): hooks multiply activations at
the answer position and are gone when the block ends, also when it raises. It measures nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from kndb.edit.given import Given, neurons_of
from kndb.edit.weight_rows import check_neurons
from kndb.errors import UsageError
from kndb.models import LanguageModel

Where = Literal["answer", "all"]

SUPPRESS, ENHANCE = 0.0, 2.0
"""What activations are multiplied by (Dai et al. 2022, section 4.3)."""


@contextmanager
def scale(
    model: LanguageModel[Any],
    neurons: Given,
    factor: float,
    where: Where = "answer",
) -> Iterator[None]:
    """Multiply the neurons' activations by ``factor`` within the block.

    Args:
        model: the model; run ``model.hf`` within the block.
        neurons: the neurons to scale, or the rows of a query, such as ``db.query(fact="Benin")``.
        factor: 0 suppresses, 2 enhances.
        where: ``answer``: in a masked model at every mask token; in a causal model at the last
            token of each sequence, padding on the right aside, which when generating is the
            newest one. ``all``: at every token. In a prompt with several masks this differs from
            :class:`kndb.attribution.suppression.Questions`, which suppresses at one mask at a
            time, the one whose token it reads: a block cannot know which one is read.

    Raises:
        ModelError: the rows are about a model with other weights.
        UsageError: the model has no such neuron; or, within the block, a masked model is given
            embeddings instead of ``input_ids``, which do not say where the answer is.
    """
    neurons = neurons_of(model, neurons)
    check_neurons(model, neurons)
    places = _Places(model, where)
    by_layer: dict[int, list[int]] = defaultdict(list)
    for neuron in neurons:
        by_layer[neuron.layer].append(neuron.index)
    with ExitStack() as stack:
        for module in (model.hf, model.hf.base_model):  # OPT's head runs without its base model
            stack.callback(module.register_forward_pre_hook(places.find, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(places.forget, always_call=True).remove)
        for layer, indices in by_layer.items():
            hook = _scaler(places, torch.tensor(indices, device=model.device), factor)
            stack.callback(model.down[layer].register_forward_pre_hook(hook).remove)
        yield


def suppress(model: LanguageModel[Any], neurons: Given, where: Where = "answer") -> Any:
    """A block in which the neurons are silent: :func:`scale` with 0.

    >>> with suppress(model, db.query(fact="France", model="bert")):  # doctest: +SKIP
    ...     model.hf(**model.tokenizer("The capital of France is", return_tensors="pt"))
    """
    return scale(model, neurons, SUPPRESS, where)


def enhance(model: LanguageModel[Any], neurons: Given, where: Where = "answer") -> Any:
    """A block in which the neurons fire twice as strongly: :func:`scale` with 2."""
    return scale(model, neurons, ENHANCE, where)


class _Places:
    """The answer positions of the run under way: ``(sequences, length)`` of bool, or None."""

    def __init__(self, model: LanguageModel[Any], where: Where) -> None:
        self.masked = model.info.family == "masked_lm"
        self.mask_token = model.tokenizer.mask_token_id
        self.where = where
        self.now: Tensor | None = None

    def find(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        decoder = "decoder_" if "decoder_input_ids" in kwargs else ""
        tokens = kwargs.get(f"{decoder}input_ids", args[0] if args else None)
        shown = tokens if tokens is not None else kwargs.get("inputs_embeds")
        assert shown is not None
        if self.where == "all":
            self.now = torch.ones(shown.shape[:2], dtype=torch.bool, device=shown.device)
        elif self.masked:
            self.now = self._masks(tokens)
        else:
            self.now = _last(shown, kwargs.get(f"{decoder}attention_mask"))

    def _masks(self, tokens: Tensor | None) -> Tensor:
        if tokens is None:
            raise UsageError(
                "Embeddings do not say where the answer is; pass input_ids, or where='all'."
            )
        return tokens.eq(self.mask_token)

    def forget(self, *args: Any) -> None:
        self.now = None


def _last(shown: Tensor, attention: Tensor | None) -> Tensor:
    """The last token of each sequence that the attention mask counts."""
    length = shown.shape[1]
    last = torch.full(shown.shape[:1], length - 1, device=shown.device)
    if attention is not None and attention.dim() == 2:
        own = attention[:, -length:].long()
        last = (own * torch.arange(1, length + 1, device=own.device)).argmax(1)
    return torch.arange(length, device=shown.device) == last[:, None]


def _scaler(places: _Places, indices: Tensor, factor: float) -> Any:
    def hook(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if places.now is None:
            return None
        values = args[0].clone()
        own = indices.to(values.device)  # a spread model's layers have other devices
        chosen = values[..., own]
        now = places.now.to(values.device).view(*values.shape[:-1], 1)  # OPT joins sequences here
        values[..., own] = torch.where(now, chosen * factor, chosen)
        return (values, *args[1:])

    return hook
