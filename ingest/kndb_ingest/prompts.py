"""What is wrong with a prompt before any model is asked. No tokenizer, no model, no files.

What depends on a model (unknown tokens, an object that is not last, a text too long) is found
where the model is.
"""

from __future__ import annotations

from kndb.facts import MASK_PLACEHOLDER, OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER, Prompt


def prompt_problem(prompt: Prompt) -> str | None:
    """Why no model can use the prompt, in few words; None where one can.

    A template without ``[X]`` serves as long as it names the subject itself, or the data set
    knows no subject apart from the sentence (AMIG).

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
    """Why the prompt does not say whom it is about; None where it does."""
    if SUBJECT_PLACEHOLDER in prompt.template:
        return None if prompt.subject.strip() else "subject missing"
    return None if prompt.subject in prompt.template else "no [X] placeholder"
