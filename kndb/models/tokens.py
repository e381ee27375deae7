"""From a prompt's text to token sequences and answer positions. Knows tokenizers, no weights.

The answer is tokenized where it stands, so that it gets the leading space, the case and the word
pieces that the model saw in training, and never a special token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kndb.facts import MASK_PLACEHOLDER
from kndb.models.base import Target

# Scripts that put no space between words: a pre-token of theirs can be a whole phrase.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
_END_OF_SENTENCE = re.compile(r"\s*[.。．।!！…]?\s*")


class Unusable(Exception):
    """A model cannot be asked this prompt. The message is the reason, in a few words."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text: identifiers, ``(start, end)`` characters, word numbers, special or not."""

    ids: list[int]
    spans: list[tuple[int, int]]
    words: list[int | None]
    special: list[bool]


def tokenize(tokenizer: Any, text: str, *, special: bool) -> Tokens:
    """Tokenize with positions. Tokenizers without them give empty spans and no words."""
    if not tokenizer.is_fast:
        ids = tokenizer(text, add_special_tokens=special)["input_ids"]
        added = set(tokenizer.all_special_ids)
        return Tokens(ids, [(0, 0)] * len(ids), [None] * len(ids), [i in added for i in ids])
    encoded = tokenizer(
        text,
        add_special_tokens=special,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    return Tokens(
        encoded["input_ids"],
        encoded["offset_mapping"],
        encoded.word_ids(),
        [bool(flag) for flag in encoded["special_tokens_mask"]],
    )


def answer_tokens(tokenizer: Any, before: str, answer: str, after: str = "") -> list[int]:
    """The answer's tokens as they stand between ``before`` and ``after``.

    Where a token reaches over the answer's border, the answer is tokenized by itself, with the
    space in front of it.
    """
    start, end = len(before), len(before) + len(answer)
    tokens = tokenize(tokenizer, before + answer + after, special=False)
    inside = [i for i, (a, b) in enumerate(tokens.spans) if a < end and b > start and a < b]
    text = before + answer + after
    if inside and all(_within(text, tokens.spans[i], start, end) for i in inside):
        return [tokens.ids[i] for i in inside]
    space = " " if before[-1:].isspace() else ""
    return tokenize(tokenizer, space + answer, special=False).ids


def _within(text: str, span: tuple[int, int], start: int, end: int) -> bool:
    return not (text[span[0] : start].strip() or text[end : span[1]].strip())


def prompt_words(tokens: Tokens, text: str, offset: int = 0) -> list[tuple[int, ...]]:
    """Positions of the tokens of each word, special tokens left out.

    A word is a pre-token of the tokenizer; where there is none, or it holds letters of a script
    without spaces, each token is a word.
    """
    words: dict[object, list[int]] = {}
    for i, (word, (start, end)) in enumerate(zip(tokens.words, tokens.spans, strict=True)):
        if tokens.special[i]:
            continue
        alone = word is None or _UNSPACED.search(text[start:end])
        words.setdefault(("token", i) if alone else word, []).append(i + offset)
    return [tuple(positions) for positions in words.values()]


def split_prompt(text: str, answer: str) -> tuple[str, str]:
    """The text before and after the answer's place.

    Raises:
        Unusable: not exactly one ``[MASK]``, or an empty answer.
    """
    parts = text.split(MASK_PLACEHOLDER)
    if len(parts) < 2:
        raise Unusable("no placeholder for the answer")
    if len(parts) > 2:
        raise Unusable("more than one placeholder for the answer")
    if not answer.strip():
        raise Unusable("answer missing")
    return parts[0], parts[1]


def masked_targets(tokenizer: Any, text: str, answer: str, longest: int) -> tuple[Target, ...]:
    """Targets for a masked model: as many masks as the answer has tokens, each read at its own.

    Raises:
        Unusable: see :func:`split_prompt`; also unknown tokens, a prompt too long or without words.
    """
    before, after = split_prompt(text, answer)
    answer = answer.strip()
    ids = answer_tokens(tokenizer, before, answer, after)
    filled = before + tokenizer.mask_token * len(ids) + after
    tokens = tokenize(tokenizer, filled, special=True)
    masks = [i for i, token in enumerate(tokens.ids) if token == tokenizer.mask_token_id]
    if len(masks) != len(ids):
        raise Unusable("the subject holds the mask token")
    shown = Tokens(
        tokens.ids,
        tokens.spans,
        tokens.words,
        [s or i in masks for i, s in enumerate(tokens.special)],
    )
    words = prompt_words(shown, filled)
    _check(tokenizer, [t for i, t in enumerate(tokens.ids) if i not in masks], ids, words)
    _check_length(len(tokens.ids), longest)
    return tuple(
        Target(tuple(tokens.ids), position, token, tuple(words), tokenizer.mask_token_id)
        for position, token in zip(masks, ids, strict=True)
    )


def causal_targets(tokenizer: Any, text: str, answer: str, longest: int) -> tuple[Target, ...]:
    """Targets for a causal model: each answer token after the prompt and the tokens before it.

    Raises:
        Unusable: see :func:`masked_targets`; also an answer that is not last.
    """
    before, after = split_prompt(text, answer)
    if not _END_OF_SENTENCE.fullmatch(after):
        raise Unusable("the object is not last")
    if tokenizer.eos_token_id is None:
        raise Unusable("the tokenizer has no end-of-sequence token")
    ids = answer_tokens(tokenizer, before, answer.strip())
    prompt = _without_special_end(tokenize(tokenizer, before.rstrip(), special=True))
    words = prompt_words(prompt, before)
    _check(tokenizer, prompt.ids, ids, words)
    _check_length(len(prompt.ids) + len(ids) - 1, longest)
    return tuple(
        Target(
            (*prompt.ids, *ids[:t]),
            len(prompt.ids) + t - 1,
            token,
            tuple(words),
            tokenizer.eos_token_id,
        )
        for t, token in enumerate(ids)
    )


def _without_special_end(tokens: Tokens) -> Tokens:
    end = len(tokens.ids)
    while end and tokens.special[end - 1]:
        end -= 1
    return Tokens(tokens.ids[:end], tokens.spans[:end], tokens.words[:end], tokens.special[:end])


def _check(tokenizer: Any, prompt: list[int], answer: list[int], words: list[Any]) -> None:
    unknown = tokenizer.unk_token_id
    special = set(tokenizer.all_special_ids) - {unknown}
    if not answer or (unknown is not None and unknown in answer):
        raise Unusable("the answer has unknown tokens")
    if special.intersection(answer):
        raise Unusable("the answer holds a special token")
    # GPT-2's tokenizer names its end of text as the unknown token: it never stands for a word.
    if unknown is not None and unknown != tokenizer.eos_token_id and unknown in prompt:
        raise Unusable("the prompt has unknown tokens")
    if not words:
        raise Unusable("the prompt has no words")


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise Unusable(f"too long: {length} tokens, the model takes {longest}")
