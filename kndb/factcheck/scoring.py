"""A model's answers to claims, and the scores of neurons. Thresholds are not applied here.

A claim's score by a set of neurons is the mean attribution of those neurons with the claimed answer
as the answer (Chen et al. 2024, section on fact checking).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kndb.attribution import Settings, attribute
from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Engine
from kndb.factcheck.labelled_claims import LabelledClaim
from kndb.factcheck.relation_neurons import Counted
from kndb.models import LanguageModel
from kndb.models.asking import Answer, Asker
from kndb.models.finite import Failed, failed
from kndb.neurons import Neuron
from kndb.progress import Report
from kndb.store.prompts import RelationLang

CHUNK = 512
"""Claims that are asked together."""

REPORTED = 64
"""Claims between two reports of progress."""

FlatNeurons = NDArray[np.intp]
"""Neurons by ``layer * n_neurons + index``."""


def flat_neurons(neurons: Iterable[Neuron], n_neurons: int) -> FlatNeurons:
    """Neurons as indices into a layer-by-layer list.

    >>> flat_neurons([Neuron(1, 3)], 10)
    array([13])
    """
    return np.array([neuron.layer * n_neurons + neuron.index for neuron in neurons], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class ClaimPrompt:
    """A prompt, a claimed answer, and the sets of neurons to score, by name."""

    text: str
    answer: str
    neurons: Mapping[str, FlatNeurons]


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of asking a model one prompt of a claim.

    Attributes:
        answer: probability and rank of the claimed answer.
        scores: the mean attribution of each set of neurons; empty sets are left out.
    """

    answer: Answer
    scores: Mapping[str, float] = field(default_factory=dict)


ReadClaim = tuple[LabelledClaim, Reading]
"""A labelled claim that the model could be asked, and the reading."""


def read(
    model: LanguageModel[Any],
    prompts: Sequence[ClaimPrompt],
    settings: Settings,
    memory: int | None = None,
) -> list[Reading | str]:
    """Ask the model, and attribute the prompts that come with sets of neurons.

    Args:
        model: from ``load_model``.
        prompts: the prompts to ask.
        settings: attribution settings of the run whose neurons are used.
        memory: bytes for activations.

    Returns:
        A reading for each prompt, or why there is none: see :meth:`Asker.ask`.

    Raises:
        ModelError: a single prompt does not fit in memory.
    """
    asker = Asker(model, memory, shared_prefix=True)
    answers = asker.ask([(prompt.text, prompt.answer) for prompt in prompts])
    wanted = [
        number
        for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        if prompt.neurons and not isinstance(answer, str)
    ]
    scores = _scores(model, [prompts[number] for number in wanted], settings, memory)
    by_number = dict(zip(wanted, scores, strict=True))
    return [_reading(answer, by_number.get(number, {})) for number, answer in enumerate(answers)]


def _reading(answer: Answer | str, scores: Mapping[str, float] | str) -> Reading | str:
    if isinstance(answer, str):
        return answer
    return scores if isinstance(scores, str) else Reading(answer, scores)


def _scores(
    model: LanguageModel[Any],
    prompts: Sequence[ClaimPrompt],
    settings: Settings,
    memory: int | None,
) -> list[dict[str, float] | Failed]:
    """The mean attributions of each prompt's sets of neurons, or why there are none."""
    scores: list[dict[str, float] | Failed] = [{} for _ in prompts]
    pairs = [(prompt.text, prompt.answer) for prompt in prompts]
    for found in attribute(model, pairs, settings, memory=memory, words=False):
        if found.failed:
            scores[found.index] = failed(found.reason, prompts[found.index].text)
            continue
        flat = found.scores.ravel()
        scores[found.index] = {
            name: float(flat[neurons].mean())
            for name, neurons in prompts[found.index].neurons.items()
            if len(neurons)
        }
    return scores


def read_claims(
    engine: Engine,
    claims: Sequence[LabelledClaim],
    neurons: Mapping[str, Mapping[RelationLang, Counted]],
    settings: Settings,
    memory: int | None,
    progress: Report,
) -> list[ReadClaim]:
    """Readings of the claims that the model can be asked, with scores by every kind of neuron.

    Args:
        engine: what runs the model.
        claims: the claims to ask.
        neurons: by kind, then by relation and language.
        settings: attribution settings.
        memory: bytes for activations.
        progress: called after every :data:`REPORTED` claims.

    Raises:
        ModelError: a single claim does not fit in memory.
        KndbError: the workers died.
    """
    sets: dict[RelationLang, dict[str, FlatNeurons]] = {}
    for kind, of_kind in neurons.items():
        for relation_lang, counted in of_kind.items():
            own = sets.setdefault(relation_lang, {})
            own[kind] = flat_neurons(counted, engine.info.n_neurons)
    prompts = [
        ClaimPrompt(claim.prompt.text, claim.answer, sets.get(claim.prompt.relation_lang, {}))
        for claim in claims
    ]
    chunks = [prompts[at : at + REPORTED] for at in range(0, len(prompts), REPORTED)]
    reading = partial(_read, settings=settings, memory=memory)
    items = Items(chunks, "groups of claims", _first_text, steps=len)
    readings = [one for chunk in each(engine, reading, items, progress) for one in chunk]
    return [
        (claim, found)
        for claim, found in zip(claims, readings, strict=True)
        if not isinstance(found, str)
    ]


def _read(
    model: LanguageModel[Any],
    prompts: Sequence[ClaimPrompt],
    tell: Tell,
    *,
    settings: Settings,
    memory: int | None,
) -> list[Reading | str]:
    return read(model, prompts, settings, memory)


def _first_text(prompts: Sequence[ClaimPrompt]) -> str:
    return prompts[0].text
