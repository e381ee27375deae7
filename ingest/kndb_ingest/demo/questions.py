"""The demo's training material: every answer token as a question, and the ways to disturb it.

The token sequences are those that attribution uses later, made by the same functions: a masked
answer of T tokens is T masks, a causal one is read after the tokens before it.
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
"""Tokens a demo model takes."""

Input = tuple[tuple[int, ...], int]
"""Tokens, and the position at which the answer token is read."""


@dataclass(frozen=True)
class Question:
    """One answer token to be found.

    Attributes:
        asked: the prompt's tokens and the answer position.
        answer: the token to be found there.
        hidden: the same with one word replaced by the filler, for each word.
        switched: the same with the subject's name in each of the other languages.
        others: tokens that other facts of the relation have in this place, the answer's included.
    """

    asked: Input
    answer: int
    hidden: tuple[Input, ...]
    switched: tuple[Input, ...]
    others: tuple[int, ...]


def questions(family: Family, tokenizer: Any, prompts: Iterable[Prompt]) -> list[Question]:
    """All questions of the prompts this family can be asked."""
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
        except Unusable:  # the object is not last, and the model is causal
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
    """What a masked model knows of the answer's form is its length; a causal one, its beginning."""
    known: Any = len(targets) if family == "masked" else tuple(x.answer for x in targets[:t])
    return prompt.fact.relation_id, prompt.lang, t, known
