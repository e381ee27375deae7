"""The demo's training material: a question for every answer token, and variations of it.

The token sequences are those that attribution uses later, made by the same functions: a masked
answer of T tokens becomes T masks; a causal answer token is predicted from the tokens before it.
This module trains nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kndb.facts import Prompt
from kndb.models import Target, Unusable
from kndb.models.tokens import causal_targets, masked_targets
from kndb_ingest.demo import Family

LONGEST = 32
"""Most tokens a demo model can take."""

Input = tuple[tuple[int, ...], int]
"""Tokens, and the answer position."""


@dataclass(frozen=True)
class Question:
    """One answer token to predict.

    Attributes:
        asked: the prompt's tokens and the answer position.
        answer: the token to predict there.
        hidden: for each word, the input with that word replaced by the filler.
        switched: for each other language, the input with the subject's name in that language.
        others: tokens that facts of the relation have in this place, including the answer.
    """

    asked: Input
    answer: int
    hidden: tuple[Input, ...]
    switched: tuple[Input, ...]
    others: tuple[int, ...]


def questions(family: Family, tokenizer: Any, prompts: Iterable[Prompt]) -> list[Question]:
    """All questions from the prompts that this family can be given."""
    usable = _targets(family, tokenizer, prompts)
    names = {(p.fact.key, p.lang): p.subject for p, _ in usable}
    langs = sorted({p.lang for p, _ in usable})
    others = _others(family, usable)
    found = []
    for prompt, targets in usable:
        switched = [
            _ask(family, tokenizer, replace(prompt, subject=names[prompt.fact.key, lang]))
            for lang in langs
            if lang != prompt.lang
        ]
        for t, target in enumerate(targets):
            found.append(
                Question(
                    (target.tokens, target.position),
                    target.answer,
                    tuple(_without(target)),
                    tuple((other[t].tokens, other[t].position) for other in switched),
                    tuple(sorted(others[_place(family, prompt, targets, t)])),
                )
            )
    return found


_Usable = list[tuple[Prompt, tuple[Target, ...]]]


def _targets(family: Family, tokenizer: Any, prompts: Iterable[Prompt]) -> _Usable:
    usable = []
    for prompt in prompts:
        try:
            usable.append((prompt, _ask(family, tokenizer, prompt)))
        except Unusable:  # the model is causal, and the object is not last
            continue
    return usable


def _ask(family: Family, tokenizer: Any, prompt: Prompt) -> tuple[Target, ...]:
    make = masked_targets if family == "masked" else causal_targets
    return make(tokenizer, prompt.text, prompt.answer, LONGEST)


def _without(target: Target) -> Iterable[Input]:
    for word in target.words:
        tokens = (target.filler if i in word else token for i, token in enumerate(target.tokens))
        yield tuple(tokens), target.position


def _others(family: Family, usable: _Usable) -> dict[tuple[Any, ...], set[int]]:
    others = defaultdict(set)
    for prompt, targets in usable:
        for t, target in enumerate(targets):
            others[_place(family, prompt, targets, t)].add(target.answer)
    return others


def _place(family: Family, prompt: Prompt, targets: Sequence[Target], t: int) -> tuple[Any, ...]:
    """Groups tokens that could stand in for each other.

    A masked model sees the length of the answer, a causal one its first tokens.
    """
    known: Any = len(targets) if family == "masked" else tuple(x.answer for x in targets[:t])
    return prompt.fact.relation_id, prompt.lang, t, known
