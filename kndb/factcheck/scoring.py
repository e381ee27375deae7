"""What a model says of claimed answers: their probability, its first choice, neurons' scores.

A claim's score by a set of neurons is the mean attribution of those neurons with the claimed answer
in the place of the answer (Chen et al. 2024, section on fact checking). Knows no threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kndb.attribution import Settings, attribute
from kndb.attribution.engine import LARGEST_BATCH
from kndb.models import LanguageModel, Target, Unusable
from kndb.models.memory import Budget, default_budget

Neurons = NDArray[np.intp]
"""Neurons by ``layer * n_neurons + index``."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, a claimed answer, and the sets of neurons whose scores are wanted, by name."""

    text: str
    answer: str
    neurons: Mapping[str, Neurons]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model says of one question.

    Attributes:
        reason: why it could not be asked, or None; the rest is then empty.
        p_claim: the claimed answer's probability, the mean over its tokens.
        p_best: the same of the model's own first choice, of as many tokens.
        best_answer: that choice; a causal model's later tokens follow the claimed ones.
        is_best: whether the claimed answer is that choice.
        scores: the mean attribution of each set of neurons; sets without neurons are left out.
    """

    reason: str | None
    p_claim: float = float("nan")
    p_best: float = float("nan")
    best_answer: str = ""
    is_best: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)


def read(
    model: LanguageModel[Any],
    questions: Sequence[Question],
    settings: Settings,
    memory: int | None = None,
) -> list[Reading]:
    """Ask the model, and attribute where sets of neurons are given.

    Args:
        model: from ``load_model``.
        questions: what to ask.
        settings: of attribution; those of the run whose neurons are used.
        memory: bytes for activations.

    Raises:
        ModelError: a single question does not fit in memory.
    """
    readings: list[Reading] = []
    targets: list[tuple[int, Target]] = []
    for number, question in enumerate(questions):
        try:
            own = model.targets(question.text, question.answer)
        except Unusable as reason:
            readings.append(Reading(str(reason)))
            continue
        readings.append(Reading(None))
        targets += [(number, target) for target in own]
    tokens: dict[int, list[tuple[float, float, int, bool]]] = {}
    for number, token in _token_readings(model, targets, memory):
        tokens.setdefault(number, []).append(token)
    scores = _scores(model, questions, readings, settings, memory)
    for number, parts in tokens.items():
        readings[number] = _reading(model, parts, scores.get(number, {}))
    return readings


def _reading(
    model: LanguageModel[Any],
    tokens: Sequence[tuple[float, float, int, bool]],
    scores: Mapping[str, float],
) -> Reading:
    p, best, first, is_first = zip(*tokens, strict=True)
    return Reading(
        None,
        sum(p) / len(p),
        sum(best) / len(best),
        model.tokenizer.decode(list(first)).strip(),
        all(is_first),
        scores,
    )


def _token_readings(
    model: LanguageModel[Any], targets: Sequence[tuple[int, Target]], memory: int | None
) -> Iterator[tuple[int, tuple[float, float, int, bool]]]:
    """Of each target its owner, p(answer), the highest p, that token, and whether it is it.

    An owner's tokens come in their order.
    """
    order = sorted(range(len(targets)), key=lambda i: len(targets[i][1].tokens))
    found: dict[int, tuple[float, float, int, bool]] = {}
    budget = Budget(memory or default_budget(model.device))
    for length, alike in groupby(order, key=lambda i: len(targets[i][1].tokens)):
        places = list(alike)
        cost = _sequence_bytes(model, length)

        def work(part: slice, places: list[int] = places) -> list[tuple[float, float, int, bool]]:
            return _observe(model, [targets[i][1] for i in places[part]])

        for start in range(0, len(places), LARGEST_BATCH):
            batch = places[start : start + LARGEST_BATCH]
            chunks = budget.run([cost] * len(batch), lambda part, batch=batch: work(part, batch))
            rows = [row for chunk in chunks for row in chunk]
            found |= dict(zip(batch, rows, strict=True))
    for place, (owner, _) in enumerate(targets):
        yield owner, found[place]


def _sequence_bytes(model: LanguageModel[Any], length: int) -> int:
    """Memory of one sequence: its widest layer, what is kept of each, and its logits."""
    width = model.info.n_neurons + 8 * model.width
    kept = model.info.n_layers * (model.info.n_neurons + 2 * length * model.width)
    vocabulary = 8 * int(model.unembedding.weight.shape[0])
    return (length * width + kept) * model.dtype.itemsize + vocabulary


@torch.no_grad()
def _observe(
    model: LanguageModel[Any], targets: Sequence[Target]
) -> list[tuple[float, float, int, bool]]:
    device = model.device
    tokens = torch.tensor([target.tokens for target in targets], device=device)
    positions = torch.tensor([target.position for target in targets], device=device)
    answers = torch.tensor([target.answer for target in targets], device=device)
    observed, _ = model.observe(tokens, positions, len(targets))
    probabilities = observed.logits.softmax(1)
    p = probabilities.gather(1, answers[:, None])[:, 0]
    best, first = probabilities.max(1)
    rows = zip(p.tolist(), best.tolist(), first.tolist(), (p >= best).tolist(), strict=True)
    return list(rows)


def _scores(
    model: LanguageModel[Any],
    questions: Sequence[Question],
    readings: Sequence[Reading],
    settings: Settings,
    memory: int | None,
) -> dict[int, dict[str, float]]:
    """Of each question that has neurons and can be asked, their mean attributions."""
    asked = [
        number
        for number, (question, reading) in enumerate(zip(questions, readings, strict=True))
        if question.neurons and reading.reason is None
    ]
    pairs = [(questions[number].text, questions[number].answer) for number in asked]
    scores = {}
    for found in attribute(model, pairs, settings, memory=memory):
        number = asked[found.index]
        flat = found.scores.ravel()
        scores[number] = {
            name: float(flat[neurons].mean())
            for name, neurons in questions[number].neurons.items()
            if len(neurons)
        }
    return scores
