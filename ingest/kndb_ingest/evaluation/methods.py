"""Methods that score every neuron of a model for a prompt, side by side. Suppresses nothing.

The presets of the engine, and two that look at no gradient: how strongly a neuron is active at the
answer position, and chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kndb.attribution import PRESETS, attribute
from kndb.attribution.suppression import Questions, Silent
from kndb.errors import UsageError
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from kndb.store.calibrations import AskedPrompt

Floats = NDArray[np.float64]

MOST_ACTIVE = "most-active"
RANDOM = "random"
SCORING = (*PRESETS, MOST_ACTIVE, RANDOM)
"""Methods that give every neuron a score."""


def usable(model: LanguageModel[Any], prompt: AskedPrompt) -> tuple[list[str], list[str]]:
    """The methods that this model can be scored by, and why others cannot, in sentences.

    ``amig-code`` asks of causal models what gated ones do not have.
    """
    methods, notes = [], []
    for method in SCORING:
        try:
            if method in PRESETS:
                list(attribute(model, [(prompt.text, prompt.answer)], method))
            methods.append(method)
        except UsageError as error:
            notes.append(f"{method} is left out: {error}")
    return methods, notes


def scores(
    model: LanguageModel[Any],
    method: str,
    prompts: Sequence[AskedPrompt],
    questions: Questions,
    seed: int,
    memory: int | None = None,
) -> Floats:
    """Scores of every neuron, ``(prompts, n_layers, n_neurons)``; what is no number is -inf.

    Args:
        model: the model.
        method: one of :data:`SCORING`.
        prompts: prompts that the model can be asked.
        questions: of which the first are these prompts.
        seed: of ``random``.
        memory: bytes for activations.

    Raises:
        ModelError: a single prompt does not fit in memory.
    """
    if method == MOST_ACTIVE:
        return activations(questions)[: len(prompts)]
    shape = (len(prompts), model.info.n_layers, model.info.n_neurons)
    if method == RANDOM:
        return np.random.default_rng(seed).random(shape)
    found = np.empty(shape)
    asked = [(prompt.text, prompt.answer) for prompt in prompts]
    for attributed in attribute(model, asked, method, memory=memory):
        found[attributed.index] = attributed.scores
    # A layer whose scores add up to 0 has no share to give (amig-paper).
    return np.where(np.isnan(found), -np.inf, found)


def activations(questions: Questions) -> Floats:
    """Neurons at the answer position, ``(prompts, n_layers, n_neurons)``, means over tokens."""
    n_prompts = len(questions.counts)
    shape = len(questions.parts[0][1].neurons), questions.parts[0][1].neurons[0].shape[1]
    total = torch.zeros(n_prompts, *shape, dtype=torch.double)
    for owners, part in questions.parts:
        layers = torch.stack([layer.double().cpu() for layer in part.neurons], dim=1)
        total.index_add_(0, torch.tensor(owners), layers)
    found: Floats = (total / questions.counts[:, None, None]).numpy()
    return found


def best(scored: Floats, n: int) -> Silent:
    """The ``n`` neurons with the highest scores ``(n_layers, n_neurons)``, ascending.

    Of equal scores the first neuron comes first.
    """
    places = np.argsort(-scored, axis=None, kind="stable")[:n]
    layers, indices = np.unravel_index(places, scored.shape)
    return tuple(sorted(map(Neuron, layers.tolist(), indices.tolist())))
