"""The search of single facts on a model, as work that any engine can run. Knows no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kndb.attribution.suppression import Questions
from kndb.crew.work import Work
from kndb.degenerate.criterion import Criterion
from kndb.degenerate.examine import Findings, examine
from kndb.degenerate.rows import Outcome
from kndb.errors import NotFinite
from kndb.facts import content_id
from kndb.models import LanguageModel, Unusable
from kndb.models.finite import failed
from kndb.neurons import random_like
from kndb.store.searches import FactToSearch


@dataclass(frozen=True)
class Searching(Work[FactToSearch, Outcome]):
    """Searches facts, each in one language.

    Attributes:
        criterion: which sets to search, and what counts as degenerate.
        top: number of knowledge neurons to search, the strongest first.
        seed: seed for the control's random neurons.
        memory: bytes for activations.
    """

    criterion: Criterion
    top: int
    seed: int
    memory: int | None

    unit = "fact-languages"
    most = 4

    def results(
        self, model: LanguageModel[Any], items: Sequence[FactToSearch]
    ) -> Iterator[Outcome]:
        """The outcome for each fact.

        Raises:
            ModelError: even a single set does not fit in memory.
        """
        return (self._outcome(model, fact) for fact in items)

    def name(self, item: FactToSearch) -> str:
        """The text of its first prompt, or its id if none was attributed."""
        return item.prompts[0][0] if item.prompts else str(item.fact_id)

    def order(self, item: FactToSearch) -> tuple[int, int]:
        """By the numbers of prompts and of neurons, which decide what a search costs."""
        return len(item.prompts), min(len(item.neurons), self.top)

    def _outcome(self, model: LanguageModel[Any], fact: FactToSearch) -> Outcome:
        neurons = fact.neurons[: self.top]
        reason = _unsearchable(fact, neurons)
        if reason:
            return Outcome(fact, len(neurons), None, reason)
        try:
            targets = [model.targets(text, answer) for text, answer in fact.prompts]
        except Unusable as error:  # the run used another version of the tokenizer
            return Outcome(fact, len(neurons), None, str(error))
        questions = Questions(model, targets, self.memory)
        for prompt, layer in questions.failures().items():
            return Outcome(fact, len(neurons), None, failed(layer, fact.prompts[prompt][0]))
        if not questions.observed_p.max() > 0:
            return Outcome(fact, len(neurons), None, "the answer's probability is 0")
        seed = content_id("control", self.seed, fact.fact_id, fact.lang)
        control = random_like(neurons, fact.neurons, model.info.n_neurons, seed)
        try:
            findings = examine(questions, neurons, control, self.criterion)
        except NotFinite as error:
            return Outcome(fact, len(neurons), None, str(error))
        return Outcome(fact, len(neurons), findings, _shortfall(findings, control is not None))


def _unsearchable(fact: FactToSearch, neurons: Sequence[Any]) -> str | None:
    if not fact.prompts:
        return "no prompt was attributed"
    if not neurons:
        return "no knowledge neurons"
    if len(neurons) == 1:
        return "only one knowledge neuron"
    return None


def _shortfall(findings: Findings, controlled: bool) -> str | None:
    """What a completed search left out, for the column ``reason``."""
    parts = []
    if findings.tried.untried:
        parts.append(
            f"the budget left {findings.tried.untried} sets of "
            f"{findings.tried.untried_size} neurons, and all larger ones, untried"
        )
    if not controlled:
        parts.append("no control: its layers have too few other neurons")
    return "; ".join(parts) or None
