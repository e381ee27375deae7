"""What ingestion does with each prompt on the model's side: from the prompt to its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kndb.attribution import Settings
from kndb.crew.work import Work
from kndb.facts import Prompt
from kndb.models import LanguageModel
from kndb_ingest.outcomes import find_outcomes
from kndb_ingest.rows import Rows

TOGETHER = 4096
"""Prompts that are tokenized at a time, at 1.4 KB each. Those of a language and length go together,
so that few batches are cut short."""

KeyedPrompt = tuple[int, Prompt]
"""A prompt with its id."""


@dataclass(frozen=True)
class Attributing(Work[KeyedPrompt, Rows]):
    """Runs prompts through the model, as ``find_outcomes`` says, and makes rows of what is found.

    Attributes:
        settings: of the engine.
        memory: bytes for activations.
        known: attribute only prompts whose answer is among this many of the model's likeliest.
        words: keep what each word of a prompt contributes.
        every_score: keep the score of every neuron.
    """

    settings: Settings
    memory: int | None
    known: int | None
    words: bool
    every_score: bool = False

    unit = "prompts"
    most = 32

    def results(self, model: LanguageModel[Any], items: Sequence[KeyedPrompt]) -> Iterator[Rows]:
        """The rows of each prompt; one prompt's scores are in memory at a time.

        Raises:
            UsageError: this model cannot be run with these settings.
            ModelError: a single prompt does not fit in memory.
        """
        alike = items if len(items) <= TOGETHER else sorted(items, key=self.order)
        for start in range(0, len(alike), TOGETHER):
            prompts = dict(alike[start : start + TOGETHER])
            for outcome in find_outcomes(
                model, prompts, self.settings, self.memory, self.known, words=self.words
            ):
                yield Rows.of([outcome], every_score=self.every_score)

    def name(self, item: KeyedPrompt) -> str:
        """The prompt's text."""
        return item[1].text

    def order(self, item: KeyedPrompt) -> tuple[str, int]:
        """By language, and by length."""
        return item[1].lang, len(item[1].text)
