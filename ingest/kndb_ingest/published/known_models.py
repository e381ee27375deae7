"""Architectures and sizes of models for which neurons have been published. Loads no model.

The number of layers and the width of the feed-forward blocks come from the models' published
configurations.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What the database stores about a model, apart from its weights."""

    architecture: str
    family: str
    """``masked_lm`` or ``causal_lm``."""
    n_layers: int
    n_neurons: int


def _bert(n_layers: int, n_neurons: int) -> KnownModel:
    return KnownModel("BertForMaskedLM", "masked_lm", n_layers, n_neurons)


def _gpt2(n_layers: int, n_neurons: int) -> KnownModel:
    return KnownModel("GPT2LMHeadModel", "causal_lm", n_layers, n_neurons)


KNOWN_MODELS = {
    "bert-base-uncased": _bert(12, 3072),
    "bert-base-cased": _bert(12, 3072),
    "bert-base-multilingual-uncased": _bert(12, 3072),
    "bert-base-multilingual-cased": _bert(12, 3072),
    "bert-base-chinese": _bert(12, 3072),
    "bert-large-uncased": _bert(24, 4096),
    "bert-large-cased": _bert(24, 4096),
    "gpt2": _gpt2(12, 3072),
    "gpt2-medium": _gpt2(24, 4096),
    "gpt2-large": _gpt2(36, 5120),
    "gpt2-xl": _gpt2(48, 6400),
    "mGPT": _gpt2(24, 8192),
}
"""Keyed by the last part of the name: ``ai-forever/mGPT`` is ``mGPT``."""


def known_model(name: str) -> KnownModel | None:
    """The model with this name, ignoring a Hugging Face owner; None if unknown."""
    return KNOWN_MODELS.get(name.rsplit("/", 1)[-1])
