"""Scores against the truth: what suppressing each neuron of the model, one at a time, really does.

The truth costs one run per neuron and prompt, so it is found on a sample of facts, and in a large
model on a sample of neurons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kndb.attribution.suppression import Questions
from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Engine
from kndb.errors import UsageError
from kndb.evaluation.effects import drops
from kndb.evaluation.methods import best, scores, usable
from kndb.evaluation.sample import (
    NeuronRequest,
    Sample,
    draw_sample,
    only_askable,
)
from kndb.evaluation.statistics.bootstrap import Floats
from kndb.evaluation.statistics.per_fact import named, ratios_of
from kndb.evaluation.table import Table
from kndb.facts import content_id
from kndb.model_runs import engine_and_run
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from kndb.progress import Report, silent
from kndb.store.prompts import StoredPrompt

TRUE = "true"


@dataclass(frozen=True)
class FaithfulnessRequest(NeuronRequest):
    """Whose scores to compare, and on what; see :class:`NeuronRequest`. One prompt per fact.

    Attributes:
        top: numbers of top neurons to compare the methods by; those above the model's number of
            neurons are left out.
        neurons: try this many random neurons, and those in the top of any method; all when None.
    """

    top: Sequence[int] = (10, 20, 50)
    neurons: int | None = None

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: fewer than one fact, bootstrap resample, top neuron or random neuron is
                asked for.
        """
        super().__post_init__()
        if self.neurons is not None and self.neurons < 1:
            raise UsageError(f"At least 1 random neuron is needed; {self.neurons} was given.")
        if not self.top or min(self.top) < 1:
            raise UsageError(
                "The sizes of the top must be at least 1 neuron; "
                f"{', '.join(map(str, self.top)) or 'nothing'} was given."
            )


def evaluate(
    request: FaithfulnessRequest, progress: Report = silent, running: Engine | None = None
) -> Table:
    """Compare every method's scores with the true effect of every neuron.

    Args:
        request: what to evaluate, and on what.
        progress: called with the neurons done, and all of them.
        running: an engine that runs the model already, and is left running; None to start one.

    Raises:
        NotFound: there is no such run.
        UsageError: an option is wrong, or the model has fewer neurons than every top, or is not
            the run's.
        ModelError: the model cannot be loaded, or a single run does not fit in memory.
        DatabaseError: the database cannot be opened.
        KndbError: no fact of the run has knowledge neurons, or the workers died.
    """
    with engine_and_run(request, running) as (engine, run):
        size = engine.info.n_layers * engine.info.n_neurons
        top = _fitting(request.top, size, engine.info.name)
        sample = only_askable(engine, draw_sample(request, run.run_id))
        prompts = one_of_each(sample, request.seed)
        scoring, left_out = usable(engine, prompts[0], request.methods)
        tried = size
        if request.neurons is not None:
            tried = min(size, request.neurons + len(scoring) * top[-1])
        comparing = partial(compare, scoring=scoring, top=top, request=request)
        items = Items(prompts, "prompts", attrgetter("text"), steps=lambda prompt: tried)
        found = each(engine, comparing, items, progress)
    known = [values for values in found if values is not None]
    return Table(
        "faithfulness",
        f"Scores of neurons against what suppressing each of them really does: {run.model}",
        columns(top),
        list(_rows((TRUE, *scoring), known, request)),
        {**request.settings(run), "top": top, "neurons": request.neurons or "all"},
        (
            *NOTES,
            *_sampled(request.neurons),
            *sample.notes,
            *left_out,
            *_too_large(request.top, size),
            *_unanswered(found),
        ),
    )


def _fitting(top: Sequence[int], size: int, name: str) -> list[int]:
    """The sizes of the top, ascending, that a model of this many neurons has.

    Raises:
        UsageError: it has none.
    """
    fitting = sorted({k for k in top if k <= size})
    if not fitting:
        raise UsageError(
            f"A top of {min(top)} neurons was given, but {name} has {size}; "
            "give a smaller one with --top."
        )
    return fitting


NOTES = (
    "The true effect of a neuron is the drop of the answer's probability when this neuron alone is "
    "suppressed at the answer position.",
    "spearman: rank correlation of scores and true effects over all neurons; most neurons do "
    "almost nothing, so the figures on the top neurons are more telling.",
    "overlap_k: share of the k neurons with the largest true effects that also have the k highest "
    "scores; removed_k: share of the probability that suppressing these k together removes.",
    "'true' picks neurons by their single true effects, which need not add up: it is a "
    "yardstick, not an upper bound.",
    "Intervals contain 95 % of the bootstrap resamples of prompts, one per fact.",
)


def columns(top: Sequence[int]) -> list[str]:
    """The table's columns."""
    tops = (f"{what}_{k}" for what in ("overlap", "removed") for k in top)
    return ["method", "n_prompts", *named("spearman", *tops)]


def one_of_each(sample: Sample, seed: int) -> list[StoredPrompt]:
    """One prompt of each fact, in any of its languages, drawn by the seed."""
    drawn: dict[int, list[StoredPrompt]] = {}
    for fact in sample.facts:
        drawn.setdefault(fact.fact_id, []).extend(fact.prompts)
    return [
        min(own, key=lambda prompt: content_id("prompt", seed, *prompt.relation_lang, prompt.text))
        for own in drawn.values()
    ]


def compare(
    model: LanguageModel[Any],
    prompt: StoredPrompt,
    tell: Tell,
    *,
    scoring: Sequence[str],
    top: Sequence[int],
    request: FaithfulnessRequest,
) -> Floats | None:
    """The figures of each method, the truth first, ``(1 + scoring, figures)``, for one prompt.

    None where the answer's probability is 0: nothing can be removed. ``tell`` is called with the
    number of neurons tried.

    Raises:
        ModelError: a single run does not fit in memory.
    """
    questions = Questions(model, [model.targets(prompt.text, prompt.answer)], request.model.memory)
    if not questions.observed_p[0] > 0:
        return None
    seed = content_id("random", request.seed, prompt.fact_id, prompt.relation_lang.lang)
    methods = [scores(model, name, [[prompt]], seed, request.model.memory)[0] for name in scoring]
    drawn = draw(methods[0].shape, request.neurons, seed)
    tried = drawn.copy()
    for own in methods:
        for neuron in best(own, top[-1]):
            tried[neuron.layer, neuron.index] = True
    neurons = [Neuron(layer, index) for layer, index in np.argwhere(tried).tolist()]
    effects = drops(model, questions, tell, neurons)[0]
    scored = [np.where(tried, own, -np.inf) for own in (effects, *methods)]
    sets = [best(own, k) for own in scored for k in top]
    p = float(questions.observed_p[0])
    removed = (p - questions.probabilities(sets)[0].numpy().reshape(len(scored), -1)) / p
    truth = [set(best(effects, k)) for k in top] * len(scored)
    shared = [len(true & set(own)) / len(own) for true, own in zip(truth, sets, strict=True)]
    overlap = np.array(shared).reshape(len(scored), -1)
    correlation = [spearman(own[drawn], effects[drawn]) for own in scored]
    return np.column_stack([correlation, overlap, removed])


def draw(shape: tuple[int, ...], n: int | None, seed: int) -> NDArray[np.bool_]:
    """Which ``n`` neurons of a model of this shape are drawn; all when None."""
    drawn = np.full(shape, n is None)
    if n is not None:
        drawn.flat[np.random.default_rng(seed).permutation(drawn.size)[:n]] = True
    return drawn


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; nan where all are equal.

    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])), 6)
    0.5
    """
    first, second = (_ranks(values) for values in (a, b))
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size else float("nan")


def _ranks(values: Floats) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _rows(
    methods: Sequence[str], found: Sequence[Floats], request: NeuronRequest
) -> Iterator[tuple[Any, ...]]:
    if not found:
        return
    facts = np.arange(len(found))  # one prompt of each
    for method, values in zip(methods, np.stack(found, axis=1), strict=True):
        ones = np.ones_like(values)
        figures = ratios_of(values, ones, facts, request.seed, request.replicates)
        yield method, len(values), *figures.ravel().tolist()


def _sampled(n: int | None) -> Iterator[str]:
    if n is None:
        yield "Every neuron was tried on every prompt."
    else:
        yield (
            f"Only {n} random neurons were tried on each prompt, and the top of each method: the "
            "rank correlation is over the random ones; for 'true' and overlap_k, the others count "
            "as having no effect, which flatters all methods alike."
        )


def _too_large(top: Sequence[int], size: int) -> Iterator[str]:
    for k in top:
        if k > size:
            yield f"The top {k} is left out: the model has {size} neurons."


def _unanswered(found: Sequence[Floats | None]) -> Iterator[str]:
    if n := sum(values is None for values in found):
        yield f"Prompts whose answer has a probability of 0 are left out: {n}."
