"""What ``attribute`` can be asked: prompts of facts, or pairs of a text and an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kndb.errors import UsageError
from kndb.facts import MASK_PLACEHOLDER, Prompt

Asked = Prompt | tuple[str, str]
"""A fact's prompt, or a text with ``[MASK]`` and its answer."""


def each_asked(prompts: Iterable[Asked] | Asked) -> Iterator[tuple[str, str]]:
    """Every prompt as a text and an answer. A single one may be given by itself.

    >>> list(each_asked(("The capital of France is [MASK].", "Paris")))
    [('The capital of France is [MASK].', 'Paris')]

    A fact's prompt may lack its placeholder: data sets have such, and they are skipped with the
    reason. In a pair, it is a mistake.

    Raises:
        UsageError: something else was given, or the text of a pair has not exactly one ``[MASK]``.
    """
    alone = (
        not isinstance(prompts, Iterable)
        or isinstance(prompts, str)
        or (isinstance(prompts, tuple) and any(isinstance(part, str) for part in prompts))
    )
    asked: Iterable[Any] = [prompts] if alone else prompts  # type: ignore[assignment]
    for one in asked:
        yield (one.text, one.answer) if isinstance(one, Prompt) else _pair(one)


def _pair(given: Any) -> tuple[str, str]:
    match given:
        case (str(text), str(answer)) if not isinstance(given, str):
            found = text.count(MASK_PLACEHOLDER)
            if found != 1:
                raise UsageError(
                    f"The prompt {text!r:.80} has {found or 'no'} places for the answer; write "
                    f"{MASK_PLACEHOLDER} once, where the answer goes."
                )
            return text, answer
    raise UsageError(
        f"{given!r:.80} is not a prompt; give (text, answer), such as "
        "('The capital of France is [MASK].', 'Paris')."
    )
