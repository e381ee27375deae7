"""The effect of suppressing or enhancing a fact's neurons on that fact and on unrelated facts.

All methods pick the same number of neurons, so none wins by taking more. Effects of the wrong sign
count as failures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kndb.attribution import PRESETS
from kndb.attribution.suppression import Silent
from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Engine
from kndb.errors import UsageError
from kndb.evaluation.effects import FACTORS, MEASURES, measure
from kndb.evaluation.methods import MOST_ACTIVE, RANDOM, best, scores, usable
from kndb.evaluation.sample import (
    AskedFact,
    NeuronRequest,
    Sample,
    askable,
    draw_sample,
    first_text,
    only_askable,
    unrelated,
)
from kndb.evaluation.statistics.bootstrap import Floats
from kndb.evaluation.statistics.per_fact import named, ratios_of
from kndb.evaluation.table import ALL, Table
from kndb.facts import content_id
from kndb.model_runs import engine_and_run
from kndb.models import LanguageModel
from kndb.neurons import random_like
from kndb.progress import Report, silent
from kndb.store.prompts import StoredPrompt

KNOWLEDGE = "knowledge"
RANDOM_LAYERS = "random-layers"
TOGETHER = 16
"""Facts in a language that are scored together; all their scores are in memory at once."""

Case = tuple[AskedFact, Sequence[StoredPrompt]]
"""A fact, and prompts of unrelated facts."""

METHODS = (KNOWLEDGE, *PRESETS, MOST_ACTIVE, RANDOM, RANDOM_LAYERS)

FIGURES = (*MEASURES[:2], "success", *MEASURES[2:])
"""Columns of the table, each followed by the ends of its interval."""


@dataclass(frozen=True)
class LocalisationRequest(NeuronRequest):
    """Whose neurons to evaluate, and on what; see :class:`NeuronRequest`.

    Attributes:
        facts: number of facts drawn, each in all its languages.
        unrelated: number of unrelated facts asked with each fact.
    """

    facts: int = 24
    unrelated: int = 6

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: fewer than one fact, bootstrap resample or unrelated fact is asked for.
        """
        super().__post_init__()
        if self.unrelated < 1:
            raise UsageError(f"At least 1 unrelated fact is needed; {self.unrelated} was given.")


@dataclass(frozen=True)
class Measured:
    """The effects of each method's neurons on facts in their languages.

    Attributes:
        methods: names, in the order of ``values``.
        facts: the facts measured.
        others: number of unrelated prompts asked with each fact.
        values: ``(facts, effects, methods, measures)``, by :data:`FACTORS` and :data:`MEASURES`.
    """

    methods: tuple[str, ...]
    facts: tuple[AskedFact, ...]
    others: tuple[int, ...]
    values: Floats

    def where(self, relation: str, lang: str) -> Measured:
        """The part about a relation and language; :data:`ALL` matches any."""
        kept = [
            at
            for at, fact in enumerate(self.facts)
            if relation in (ALL, fact.relation_lang.relation_id)
            and lang in (ALL, fact.relation_lang.lang)
        ]
        facts = tuple(self.facts[at] for at in kept)
        return Measured(
            self.methods, facts, tuple(self.others[at] for at in kept), self.values[kept]
        )


def evaluate(
    request: LocalisationRequest, progress: Report = silent, running: Engine | None = None
) -> Table:
    """Suppress and enhance what each method picks, on sampled facts and on unrelated ones.

    Args:
        request: what to evaluate, and on what.
        progress: called with the facts done, and all of them.
        running: an engine that runs the model already, and is left running; None to start one.

    Raises:
        NotFound: there is no such run.
        UsageError: an option is wrong, or the model is not the run's.
        ModelError: the model cannot be loaded, or a single prompt does not fit in memory.
        DatabaseError: the database cannot be opened.
        KndbError: no fact of the run has knowledge neurons, or the workers died.
    """
    with engine_and_run(request, running) as (engine, run):
        sample = only_askable(engine, draw_sample(request, run.run_id))
        scoring, left_out = usable(engine, sample.facts[0].prompts[0], request.methods)
        facts = tuple(
            sorted(sample.facts, key=lambda fact: fact.relation_lang[::-1])
        )  # similar facts together
        cases = [_case(fact, sample, request) for fact in facts]
        groups = [cases[at : at + TOGETHER] for at in range(0, len(cases), TOGETHER)]
        measuring = partial(measure_together, scoring=scoring, request=request)
        items = Items(groups, "groups of facts", _first_text, steps=len)
        found = [one for group in each(engine, measuring, items, progress) for one in group]
    others, parts = zip(*found, strict=True)
    methods = (KNOWLEDGE, *scoring, RANDOM_LAYERS)
    measured = Measured(methods, facts, others, np.stack(parts))
    return Table(
        "localisation",
        f"What neurons do to their facts and to unrelated ones: {run.model}",
        columns(),
        [row for part in _groups(measured) for row in _rows(*part, request)],
        {**request.settings(run), "unrelated": request.unrelated},
        (*NOTES, *sample.notes, *left_out, *_shortfall(measured, request.unrelated)),
    )


def _case(fact: AskedFact, sample: Sample, request: LocalisationRequest) -> Case:
    pool = sample.pool[fact.relation_lang.lang]
    return fact, unrelated(fact, pool, request.unrelated, request.seed)


def _first_text(cases: Sequence[Case]) -> str:
    return first_text(cases[0][0])


def measure_together(
    model: LanguageModel[Any],
    cases: Sequence[Case],
    tell: Tell,
    *,
    scoring: Sequence[str],
    request: NeuronRequest,
) -> list[tuple[int, Floats]]:
    """Measure what the neurons that each method picks do to facts, which are scored together.

    Returns:
        For each fact the number of unrelated prompts that the model could be asked, and the effects
        ``(effects, methods, measures)``.

    Raises:
        ModelError: a single prompt does not fit in memory.
    """
    found: list[tuple[int, Floats]] = []
    picked = pick(model, [fact for fact, _ in cases], scoring, request)
    for (fact, aside), sets in zip(cases, picked, strict=True):
        asked = [prompt for prompt in aside if askable(model, prompt)]
        effects = measure(model, fact.prompts, asked, list(sets.values()), request.model.memory)
        found.append((len(asked), effects))
        tell(len(found))
    return found


def columns() -> list[str]:
    """The table's columns."""
    cases = ["effect", "method", "relation", "lang", "n_facts", "n_cases", "n_neurons"]
    return [*cases, *named(*FIGURES)]


NOTES = (
    "Each method takes as many neurons as the fact has knowledge neurons in the language "
    "(by the run's tau and share): those with the highest mean score over the fact's prompts; "
    "'knowledge' takes the knowledge neurons themselves.",
    "A case is a fact in a language. Changes of its probability are averaged over its prompts, "
    "then over cases; neurons are changed at the answer position. Unrelated facts are in the same "
    "language, and have another relation, subject and object.",
    "wrong_sign: share of cases whose own probability rises when suppressed, or falls when "
    "enhanced.",
    "success: the paper's ratio of mean relative changes, related to unrelated; it is unbounded, "
    "and meaningless if unrelated changes cancel out.",
    "specificity: mean of r / (r + u), from 0 to 1, where r is the fact's own relative change in "
    "the wanted direction (else 0) and u the mean size of the unrelated changes; noise alone gives "
    "about a quarter, as random neurons show.",
    "Intervals contain 95 % of the bootstrap resamples of facts, each with all its languages.",
)


def pick(
    model: LanguageModel[Any],
    facts: Sequence[AskedFact],
    scoring: Sequence[str],
    request: NeuronRequest,
) -> list[dict[str, Silent]]:
    """For each fact, the neurons that each method picks, equally many.

    Random neurons are drawn once from all neurons and once from the layers of ``amig``'s choice
    (of the knowledge neurons where ``amig`` is not compared); both may include knowledge neurons.

    Raises:
        ModelError: a single prompt does not fit in memory.
    """
    draw = content_id("random", request.seed, facts[0].fact_id, *facts[0].relation_lang)
    cases = [fact.prompts for fact in facts]
    found: list[dict[str, Silent]] = [{KNOWLEDGE: tuple(sorted(fact.neurons))} for fact in facts]
    for method in scoring:
        scored = scores(model, method, cases, draw, request.model.memory)
        for own, of_fact, fact in zip(found, scored, facts, strict=True):
            own[method] = best(of_fact, len(fact.neurons))
    for own, fact in zip(found, facts, strict=True):
        seed = content_id("random-layers", request.seed, fact.fact_id, *fact.relation_lang)
        alike = random_like(own.get("amig", own[KNOWLEDGE]), (), model.info.n_neurons, seed)
        assert alike is not None  # nothing to avoid, so there are always enough
        own[RANDOM_LAYERS] = tuple(sorted(alike))
    return found


def _groups(measured: Measured) -> Iterator[tuple[str, str, Measured]]:
    yield ALL, ALL, measured
    for relation_lang in sorted({fact.relation_lang for fact in measured.facts}):
        yield *relation_lang, measured.where(*relation_lang)


def _rows(
    relation: str, lang: str, measured: Measured, request: NeuronRequest
) -> Iterator[tuple[Any, ...]]:
    facts = np.array([fact.fact_id for fact in measured.facts])
    n_neurons = float(np.mean([len(fact.neurons) for fact in measured.facts]))
    sizes = len(np.unique(facts)), len(facts), n_neurons
    for effect, of_effect in zip(FACTORS, np.moveaxis(measured.values, 1, 0), strict=True):
        for method, values in zip(measured.methods, np.moveaxis(of_effect, 1, 0), strict=True):
            figures = _figures(values, facts, request)
            yield effect, method, relation, lang, *sizes, *figures.ravel().tolist()


def _figures(values: Floats, facts: NDArray[np.int64], request: NeuronRequest) -> Floats:
    """Each of :data:`FIGURES` with its interval, ``(figures, 3)``, of a method's measures.

    Args:
        values: ``(cases, measures)``.
        facts: ``(cases,)``, the fact of each.
        request: how the intervals are drawn.
    """
    columns = dict(zip(MEASURES, values.T, strict=True))
    ones = np.ones(len(values))
    pairs = [
        (columns["related_relative"], columns["unrelated_relative"])
        if name == "success"
        else (columns[name], ones)
        for name in FIGURES
    ]
    above, below = (np.stack(side, axis=1) for side in zip(*pairs, strict=True))
    return ratios_of(above, below, facts, request.seed, request.replicates)


def _shortfall(measured: Measured, asked: int) -> Iterator[str]:
    """A note if there are few unrelated facts."""
    if not any(measured.others):
        yield (
            "The run has no unrelated facts: a single relation has none; so unrelated changes, "
            "success and specificity are empty."
        )
    elif min(measured.others) < asked:
        yield (
            f"In some cases there are fewer than {asked} unrelated facts: "
            f"{min(measured.others)} at least."
        )
