"""Finds prompts that no model can use. Needs no tokenizer, model or files.

Problems that depend on the model (unknown tokens, an object that is not last, too long a text) are
found by the model's adapter.
"""

from __future__ import annotations

from kndb.facts import MASK_PLACEHOLDER, OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER, Prompt


def prompt_problem(prompt: Prompt) -> str | None:
    """A short reason why no model can use the prompt, or None.

    A template without ``[X]`` is fine if it names the subject itself, or if the data set gives no
    subject apart from the sentence (AMIG).

    >>> from kndb.facts import Fact
    >>> fact = Fact("P36", "Q142", "Q90")
    >>> prompt_problem(Prompt(fact, "en", "The capital of [X].", "France", "Paris"))
    'no [Y] placeholder'
    """
    if OBJECT_PLACEHOLDER not in prompt.template:
        return "no [Y] placeholder"
    if prompt.text.count(MASK_PLACEHOLDER) > 1:
        return "more than one [Y] placeholder"
    if not prompt.answer.strip():
        return "answer missing"
    return subject_problem(prompt)


def subject_problem(prompt: Prompt) -> str | None:
    """A short reason why the prompt does not name its subject, or None if it does."""
    if SUBJECT_PLACEHOLDER in prompt.template:
        return None if prompt.subject.strip() else "subject missing"
    return None if prompt.subject in prompt.template else "no [X] placeholder"
