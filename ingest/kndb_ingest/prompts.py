"""Finds prompts that no model can use. Needs no tokenizer, model or files.

Problems that depend on the model (unknown tokens, an object that is not last, too long a text) are
found by the model's adapter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kndb.errors import DatasetError
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


def check_usable(name: str, prompts: Iterable[Prompt]) -> None:
    """Refuse a data set of which no model can use a single prompt.

    Raises:
        DatasetError: there is none; it says what they lack.
    """
    problems = Counter[str]()
    for prompt in prompts:
        problem = prompt_problem(prompt)
        if problem is None:
            return
        problems[problem] += 1
    if problems:
        lack = ", ".join(f"{n:,} {problem}" for problem, n in problems.most_common())
        raise DatasetError(
            f"No prompt of {name} can be used ({lack}); a template has [X] for the subject and [Y] "
            "for the answer, such as 'The capital of [X] is [Y].'"
        )


def subject_problem(prompt: Prompt) -> str | None:
    """A short reason why the prompt does not name its subject, or None if it does."""
    if SUBJECT_PLACEHOLDER in prompt.template:
        return None if prompt.subject.strip() else "subject missing"
    return None if prompt.subject in prompt.template else "no [X] placeholder"
