"""Methods that score every neuron of a model for a prompt, side by side. Suppresses nothing.

The presets of the engine, and two without gradients: how strongly a neuron is active at the
answer position, and chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from kndb.attribution import PRESETS, attribute
from kndb.attribution.suppression import Questions, Silent
from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Engine
from kndb.errors import UsageError
from kndb.evaluation.statistics.bootstrap import Floats
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from kndb.store.prompts import StoredPrompt

MOST_ACTIVE = "most-active"
RANDOM = "random"
SCORING = (*PRESETS, MOST_ACTIVE, RANDOM)
"""Methods that give every neuron a score."""


def check_methods(methods: Sequence[str]) -> None:
    """Refuse unknown methods.

    Raises:
        UsageError: one of them is not in :data:`SCORING`.
    """
    for method in methods:
        if method not in SCORING:
            raise UsageError(f"There is no method {method!r}; choose from {', '.join(SCORING)}.")


def usable(
    engine: Engine, prompt: StoredPrompt, asked: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """The methods that work for this model, and sentences that say why others do not.

    ``amig-code`` needs pre-activation neurons in causal models, which gated blocks lack.

    Args:
        engine: what runs the model.
        prompt: one that it can answer.
        asked: methods to try; all when empty.
    """
    methods = asked or SCORING
    problems = each(engine, partial(_problem, prompt), Items(methods, "methods", str))
    found = list(zip(methods, problems, strict=True))
    notes = [f"{method} is left out: {problem}" for method, problem in found if problem]
    return [method for method, problem in found if not problem], notes


def _problem(
    prompt: StoredPrompt, model: LanguageModel[Any], method: str, tell: Tell
) -> str | None:
    """Why a method does not work for this model, or None."""
    try:
        if method in PRESETS:
            list(attribute(model, [(prompt.text, prompt.answer)], method))
    except UsageError as error:
        return str(error)
    return None


def scores(
    model: LanguageModel[Any],
    method: str,
    cases: Sequence[Sequence[StoredPrompt]],
    seed: int,
    memory: int | None = None,
) -> Floats:
    """Scores of every neuron, ``(cases, n_layers, n_neurons)``: means over each case's prompts.

    A score that is nan becomes -inf. Cases are asked together, as batches are faster than single
    prompts.

    Args:
        model: the model.
        method: one of :data:`SCORING`.
        cases: the prompts of each case; the model must be able to answer them.
        seed: of ``random``.
        memory: bytes for activations.

    Raises:
        ModelError: a single prompt does not fit in memory.
    """
    if method == RANDOM:
        shape = (len(cases), model.info.n_layers, model.info.n_neurons)
        return np.random.default_rng(seed).random(shape)
    if method == MOST_ACTIVE:
        return np.stack([activations(model, prompts, memory).mean(0) for prompts in cases])
    owners = [case for case, prompts in enumerate(cases) for _ in prompts]
    asked = [(prompt.text, prompt.answer) for prompts in cases for prompt in prompts]
    found = np.zeros((len(cases), model.info.n_layers, model.info.n_neurons))
    for own in attribute(model, asked, method, memory=memory, words=False):
        found[owners[own.index]] += own.scores / len(cases[owners[own.index]])
    # A layer whose scores add up to 0 has no share to give (amig-paper).
    return np.where(np.isnan(found), -np.inf, found)


def activations(
    model: LanguageModel[Any], prompts: Sequence[StoredPrompt], memory: int | None = None
) -> Floats:
    """Neurons at the answer position, ``(prompts, n_layers, n_neurons)``, means over tokens."""
    questions = Questions(model, [model.targets(p.text, p.answer) for p in prompts], memory)
    total = torch.zeros(len(prompts), model.info.n_layers, model.info.n_neurons, dtype=torch.double)
    for owners, part in questions.parts:
        layers = torch.stack([layer.double().cpu() for layer in part.neurons], dim=1)
        total.index_add_(0, torch.tensor(owners), layers)
    found: Floats = (total / questions.counts[:, None, None]).numpy()
    return found


def best(scored: Floats, n: int) -> Silent:
    """The ``n`` neurons with the highest scores ``(n_layers, n_neurons)``, ascending.

    Ties go to the first neuron.
    """
    places = np.argsort(-scored, axis=None, kind="stable")[:n]
    layers, indices = np.unravel_index(places, scored.shape)
    return tuple(sorted(map(Neuron, layers.tolist(), indices.tolist())))
