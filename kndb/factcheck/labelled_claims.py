"""Labelled claims for calibration and testing: the split of the facts, and their wrong answers.

A fact's split, and the order in which wrong answers are drawn, depend only on hashes of the fact
and the seed: adding, removing or changing other facts moves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kndb.errors import UsageError
from kndb.factcheck.spelling import same
from kndb.facts import content_id
from kndb.store.prompts import RelationLang, StoredPrompt


@dataclass(frozen=True, slots=True)
class LabelledClaim:
    """A prompt, an answer to it, and whether that answer is true."""

    prompt: StoredPrompt
    answer: str
    truth: bool


def parse_split(text: str) -> tuple[int, int, int]:
    """Read shares such as ``60/20/20``.

    >>> parse_split("60/20/20")
    (60, 20, 20)

    Raises:
        UsageError: not three whole numbers above 0 that add up to 100.
    """
    parts = text.split("/")
    if len(parts) != 3 or not all(_is_share(part) for part in parts):
        raise UsageError(
            f"{text!r:.40} is not a valid split; write train/validation/test, for example 60/20/20."
        )
    train, validation, test = map(int, parts)
    if train + validation + test != 100:
        raise UsageError(f"The shares of the split {text} must add up to 100.")
    return train, validation, test


def _is_share(text: str) -> bool:
    return text.isdecimal() and len(text) <= 3 and int(text) > 0


def split_of(fact_key: str, shares: tuple[int, int, int], seed: int) -> str:
    """The split of a fact: ``train``, ``validation`` or ``test``."""
    place = content_id("split", seed, fact_key) % 10_000 / 100
    if place < shares[0]:
        return "train"
    return "validation" if place < shares[0] + shares[1] else "test"


class WrongAnswers:
    """Draws wrong answers from other facts of the same relation and language.

    Answers are drawn as often as facts have them, so an answer alone reveals little.
    An object that is true of the subject is never drawn, whatever its label.
    """

    def __init__(self, pool: Iterable[StoredPrompt], every: Iterable[StoredPrompt], seed: int):
        self._seed = seed
        self._pool: dict[RelationLang, dict[str, StoredPrompt]] = defaultdict(dict)
        for prompt in pool:
            self._pool[prompt.relation_lang].setdefault(prompt.fact_key, prompt)
        self._true: dict[str, set[str]] = defaultdict(set)
        for prompt in every:
            self._true[prompt.fact_key] |= {prompt.object_id, same(prompt.answer)}

    def draw(self, prompt: StoredPrompt, n: int) -> list[str]:
        """Up to ``n`` different wrong answers to a prompt; fewer if no more exist."""
        true = self._true[prompt.fact_key]
        drawn: dict[str, str] = {}
        for other in sorted(
            self._pool[prompt.relation_lang].values(),
            key=lambda other: content_id(
                "wrong",
                self._seed,
                prompt.fact_key,
                prompt.relation_lang.lang,
                prompt.template,
                other.fact_key,
            ),
        ):
            label = same(other.answer)
            if other.object_id not in true and label not in true:
                drawn.setdefault(label, other.answer)
            if len(drawn) == n:
                break
        return list(drawn.values())


def labelled(
    prompts: Sequence[StoredPrompt], wrong: WrongAnswers, n_wrong: int
) -> Iterator[LabelledClaim]:
    """Each prompt with its own answer, and with ``n_wrong`` wrong ones.

    A prompt with fewer wrong answers is left out, so that the classes stay in proportion.
    """
    for prompt in prompts:
        answers = wrong.draw(prompt, n_wrong)
        if len(answers) == n_wrong:
            yield LabelledClaim(prompt, prompt.answer, True)
            yield from (LabelledClaim(prompt, answer, False) for answer in answers)
