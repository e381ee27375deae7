"""How scaling neurons changes the probabilities of answers: the changes and their measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numpy as np

from kndb.attribution.suppression import Questions, Silent
from kndb.edit.scaling import ENHANCE, SUPPRESS
from kndb.evaluation.statistics.bootstrap import Floats
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from kndb.store.prompts import StoredPrompt

FACTORS = {"suppress": SUPPRESS, "enhance": ENHANCE}
"""What an effect multiplies activations by."""

WANTED = {"suppress": -1.0, "enhance": 1.0}
"""The sign of the change of a fact's own probability that an effect should have."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""The smallest float32: in a logarithm, a probability of 0 counts as this."""

_KINDS = ("relative", "absolute", "log")
MEASURES = (
    *(f"{whose}_{kind}" for kind in _KINDS for whose in ("related", "unrelated")),
    "wrong_sign",
    "specificity",
)
"""The results of :func:`measure`: mean changes of the fact's own prompts and of others."""

SETS_AT_ONCE = 2048
"""Single neurons asked together: bounds the memory that a large model's neurons take."""


@dataclass(frozen=True)
class Changes:
    """How probabilities changed, ``(prompts, sets)`` each.

    Attributes:
        absolute: p after, less p before.
        relative: that, divided by p before; nan where p was 0.
        log: ln p after, less ln p before.
    """

    absolute: Floats
    relative: Floats
    log: Floats


def changes(before: Floats, after: Floats) -> Changes:
    """The changes from ``before`` ``(prompts,)`` to ``after`` ``(prompts, sets)``.

    >>> found = changes(np.array([0.5]), np.array([[0.25]]))
    >>> found.absolute, found.relative, found.log.round(4)
    (array([[-0.25]]), array([[-0.5]]), array([[-0.6931]]))
    """
    start = before[:, None]
    absolute = after - start
    relative = np.divide(absolute, start, out=np.full_like(after, np.nan), where=start > 0)
    log = np.log(np.maximum(after, SMALLEST)) - np.log(np.maximum(start, SMALLEST))
    return Changes(absolute, relative, log)


def specificity(related: Floats, others: Floats, wanted: float) -> Floats:
    """The share of all change that falls, in the wanted direction, on the fact itself: [0, 1].

    ``r / (r + u)`` with r the fact's own change in the wanted direction, 0 where it goes the wrong
    way, and u the mean size of the changes of unrelated facts, in either direction. It is 1 where
    nothing else changes, and 0 where the fact itself does not, or goes the wrong way. A bounded
    companion of the paper's ratio, which explodes where unrelated changes cancel out; ours.

    >>> specificity(np.array([-0.3, 0.3]), np.array([0.1, 0.1]), wanted=-1).round(2)
    array([0.75, 0.  ])

    Args:
        related: changes of the facts.
        others: mean sizes of the changes of unrelated facts, the same shape; nan where unknown.
        wanted: the sign that ``related`` should have.
    """
    own = np.maximum(wanted * related, 0)
    total = own + others
    share = np.divide(own, total, out=np.zeros_like(total), where=total > 0)
    return np.where(np.isnan(total), np.nan, share)


def measure(
    model: LanguageModel[Any],
    own: Sequence[StoredPrompt],
    others: Sequence[StoredPrompt],
    sets: Sequence[Silent],
    memory: int | None = None,
) -> Floats:
    """What sets of neurons do to a fact's own prompts and to others, ``(effects, sets, measures)``.

    Raises:
        ModelError: a single prompt does not fit in memory.
    """
    prompts = [*own, *others]
    targets = [model.targets(prompt.text, prompt.answer) for prompt in prompts]
    questions = Questions(model, targets, memory)
    before = questions.observed_p.numpy()
    found = []
    for effect, factor in FACTORS.items():
        after = questions.probabilities(sets, factor).numpy()
        found.append(_measures(before, after, len(own), WANTED[effect]))
    return np.stack(found)


def _measures(before: Floats, after: Floats, own: int, wanted: float) -> Floats:
    """The measures ``(sets, measures)`` of prompts, of which the first ``own`` are the fact's."""
    change = changes(before, after)
    found = [
        _means(part)
        for kind in _KINDS
        for part in (getattr(change, kind)[:own], getattr(change, kind)[own:])
    ]
    wrong = (wanted * _means(change.absolute[:own]) < 0).astype(float)
    sizes = _means(np.abs(change.relative[own:]))
    return np.stack([*found, wrong, specificity(found[0], sizes, wanted)], axis=1)


def _means(values: Floats) -> Floats:
    """Means over the first axis, ignoring nan; nan if nothing is left."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(0)
    empty = np.full_like(total, np.nan)
    means: Floats = np.divide(total, known.sum(0), out=empty, where=known.any(0))
    return means


def drops(
    model: LanguageModel[Any],
    questions: Questions,
    progress: Callable[[int], None] = lambda done: None,
    neurons: Sequence[Neuron] | None = None,
) -> Floats:
    """The true effects of neurons: p less p with each alone suppressed.

    Args:
        model: the model.
        questions: the prompts.
        progress: called with the number of neurons done.
        neurons: those to try; all when None.

    Returns:
        ``(prompts, n_layers, n_neurons)``; nan for neurons not tried.

    Raises:
        ModelError: a single run does not fit in memory.
    """
    info = model.info
    shape = info.n_layers, info.n_neurons
    tried = list(starmap(Neuron, np.ndindex(shape))) if neurons is None else neurons
    before = questions.observed_p.numpy()
    found = np.full((len(before), *shape), np.nan)
    for start in range(0, len(tried), SETS_AT_ONCE):
        part = tried[start : start + SETS_AT_ONCE]
        after = questions.probabilities([(neuron,) for neuron in part]).numpy()
        at = [neuron.layer for neuron in part], [neuron.index for neuron in part]
        found[:, *at] = before[:, None] - after
        progress(start + len(part))
    return found
