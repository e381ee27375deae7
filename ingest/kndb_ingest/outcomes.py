"""What becomes of each prompt: attributed, failed, not known to the model, or skipped."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeGuard

from kndb.attribution import Attribution, Settings, attribute
from kndb.facts import Prompt
from kndb.models import LanguageModel
from kndb.models.asking import Answer, Asker
from kndb.models.finite import Failed
from kndb_ingest.prompts import prompt_problem

Unknown = tuple[Answer, int]
"""The model's answer to a prompt that it was only asked, and the rank that would have counted."""

Outcome = Attribution | Unknown | str
"""An attribution, an answer that the model does not know, or the reason the prompt is skipped."""

ASKED_TOGETHER = 64
"""Prompts asked between two reports of progress."""

Outcomes = Iterator[tuple[int, Outcome]]
"""Outcomes with their prompts' ids, in any order."""


def find_outcomes(
    model: LanguageModel[Any],
    prompts: Mapping[int, Prompt],
    settings: Settings,
    memory: int | None,
    known: int | None,
    *,
    words: bool = False,
) -> Outcomes:
    """Run prompts through the model.

    Args:
        model: from ``load_model``.
        prompts: by their ids.
        settings: of the engine.
        memory: bytes for activations; the device's default when None.
        known: attribute only prompts whose answer is among this many of the model's likeliest; all
            when None. Asking takes no gradients and one row per prompt.
        words: keep what each word of a prompt contributes.

    Raises:
        UsageError: this model cannot be run with these settings.
        ModelError: a single prompt does not fit in memory.
    """
    left = yield from _usable(prompts)
    if known is not None:
        left = yield from _known(model, left, memory, known)
    keys = list(left)
    for found in attribute(model, left.values(), settings, memory=memory, words=words):
        yield keys[found.index], found.reason if found.reason and not found.failed else found


def has_scores(outcome: Outcome) -> TypeGuard[Attribution]:
    """Whether the prompt was attributed."""
    return isinstance(outcome, Attribution) and not outcome.failed


_Left = Generator[tuple[int, Outcome], None, dict[int, Prompt]]
"""Yields what is settled, and returns the other prompts."""


def _usable(prompts: Mapping[int, Prompt]) -> _Left:
    left = {}
    for key, prompt in prompts.items():
        problem = prompt_problem(prompt)
        if problem:
            yield key, problem
        else:
            left[key] = prompt
    return left


def _known(
    model: LanguageModel[Any], prompts: Mapping[int, Prompt], memory: int | None, rank: int
) -> _Left:
    left = {}
    asker = Asker(model, memory, shared_prefix=True)
    # By length, so that prompts asked together fill their batches.
    asked = dict(sorted(prompts.items(), key=lambda item: len(item[1].text)))
    questions = ((prompt.text, prompt.answer) for prompt in asked.values())
    answers = asker.stream(questions, window=ASKED_TOGETHER)
    for (key, prompt), answer in zip(asked.items(), answers, strict=True):
        if isinstance(answer, Failed):  # attributing it says what fails
            left[key] = prompt
        elif isinstance(answer, str):
            yield key, answer
        elif answer.rank > rank:
            yield key, (answer, rank)
        else:
            left[key] = prompt
    return left
