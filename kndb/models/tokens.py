"""From a prompt's text to token sequences and answer positions. Uses tokenizers, no weights.

The answer is tokenized in place, so that it gets the leading space, the case and the word pieces
that the model saw in training, and never a special token. The prompt's words are those of its text,
whatever the tokenizer considers a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kndb.facts import MASK_PLACEHOLDER
from kndb.models.alignment import align, is_space
from kndb.models.base import Target
from kndb.models.words import Span, group_words

_END_OF_SENTENCE = re.compile(r"\s*[.。．।!！…]?\s*")


class Unusable(Exception):
    """A model cannot be asked this prompt. The message gives the reason in a few words."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text.

    Attributes:
        ids: token identifiers.
        spans: ``(start, end)`` characters of each token; None if the tokenizer gives no offsets and
            the tokens are not found in the text.
        special: whether each token is a special one.
        blank: whether each token is white space only.
    """

    ids: list[int]
    spans: list[Span] | None
    special: list[bool]
    blank: list[bool]

    def until(self, end: int) -> Tokens:
        """The tokens before index ``end``."""
        spans = None if self.spans is None else self.spans[:end]
        return Tokens(self.ids[:end], spans, self.special[:end], self.blank[:end])


def tokenize(tokenizer: Any, text: str) -> Tokens:
    """Tokenize a prompt, with the special tokens that the tokenizer puts around it."""
    ids, spans, names, added = _encode(tokenizer, text, special=True)
    every_special = set(tokenizer.all_special_ids)
    shown = [text[start:end] for start, end in spans] if spans else [""] * len(ids)
    return Tokens(
        ids,
        spans,
        [bool(flag) or i in every_special for i, flag in zip(ids, added, strict=True)],
        # A "▁" or "Ġ" added before a word has the span of the word's first letter.
        [is_space(name) and name != seen for name, seen in zip(names, shown, strict=True)],
    )


def _encode(
    tokenizer: Any, text: str, *, special: bool
) -> tuple[list[int], list[Span] | None, list[str], list[int]]:
    """Identifiers, spans, names, and 1 for each token that the tokenizer added."""
    if not tokenizer.is_fast:
        ids = tokenizer(text, add_special_tokens=special)["input_ids"]
        names = tokenizer.convert_ids_to_tokens(ids)
        return ids, align(tokenizer, text, ids), names, [0] * len(ids)
    encoded = tokenizer(
        text,
        add_special_tokens=special,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    spans, added = encoded["offset_mapping"], encoded["special_tokens_mask"]
    return encoded["input_ids"], spans, encoded.tokens(), added


def answer_tokens(
    tokenizer: Any, before: str, answer: str, after: str = "", *, space: bool = False
) -> list[int]:
    """The answer's tokens as they appear between ``before`` and ``after``.

    If a token crosses the answer's border, or tokens have no spans, the answer is tokenized by
    itself, with the space in front of it.

    Args:
        tokenizer: of the model.
        before: text in front of the answer.
        answer: without white space around it.
        after: text behind the answer.
        space: count a token for the white space at the end of ``before`` as the answer's.
    """
    start, end = len(before), len(before) + len(answer)
    first = len(before.rstrip()) if space else start
    text = before + answer + after
    ids, spans, _, _ = _encode(tokenizer, text, special=False)
    spans = spans or []
    inside = [i for i, (a, b) in enumerate(spans) if a < end and b > first and a < b]
    if inside and all(_within(text, spans[i], start, end) for i in inside):
        return [ids[i] for i in inside]
    blank = " " if before[-1:].isspace() else ""
    return _encode(tokenizer, blank + answer, special=False)[0]


def _within(text: str, span: Span, start: int, end: int) -> bool:
    return not (text[span[0] : start].strip() or text[end : span[1]].strip())


def prompt_words(tokens: Tokens, text: str, hole: Span | None = None) -> list[tuple[int, ...]]:
    """Positions of each word's tokens, without special tokens; see :func:`group_words`.

    If the tokens have no spans in the text, each token is a word.
    """
    if tokens.spans is None:
        return [(i,) for i, special in enumerate(tokens.special) if not special]
    spans = [
        None if special else (start, start if blank else end)
        for (start, end), special, blank in zip(
            tokens.spans, tokens.special, tokens.blank, strict=True
        )
    ]
    return group_words(text, spans, hole)


def split_prompt(text: str, answer: str) -> tuple[str, str]:
    """The text before and after the answer's placeholder.

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
    """Targets for a masked model: one mask per answer token, each token read at its own mask.

    Raises:
        Unusable: see :func:`split_prompt`; also unknown tokens, a prompt too long or without words.
    """
    before, after = split_prompt(text, answer)
    answer = answer.strip()
    ids = answer_tokens(tokenizer, before, answer, after)
    masks = tokenizer.mask_token * len(ids)
    filled = before + masks + after
    tokens = tokenize(tokenizer, filled)
    positions = [i for i, token in enumerate(tokens.ids) if token == tokenizer.mask_token_id]
    if len(positions) != len(ids):
        raise Unusable("the subject holds the mask token")
    words = prompt_words(tokens, filled, (len(before), len(before) + len(masks)))
    check_usable(tokenizer, [t for i, t in enumerate(tokens.ids) if i not in positions], ids, words)
    check_length(len(tokens.ids), longest)
    return tuple(
        Target(tuple(tokens.ids), position, token, tuple(words), tokenizer.mask_token_id)
        for position, token in zip(positions, ids, strict=True)
    )


def causal_targets(tokenizer: Any, text: str, answer: str, longest: int) -> tuple[Target, ...]:
    """Targets for a causal model: each answer token follows the prompt and the tokens before it.

    Raises:
        Unusable: see :func:`masked_targets`; also an answer that is not last.
    """
    before, after = split_prompt(text, answer)
    if not _END_OF_SENTENCE.fullmatch(after):
        raise Unusable("the object is not last")
    ids = answer_tokens(tokenizer, before, answer.strip(), space=True)
    prompt = without_special_end(tokenize(tokenizer, before.rstrip()))
    words = prompt_words(prompt, before)
    check_usable(tokenizer, prompt.ids, ids, words)
    check_length(len(prompt.ids) + len(ids) - 1, longest)
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


def without_special_end(tokens: Tokens) -> Tokens:
    """The tokens before the special ones at the end."""
    end = len(tokens.ids)
    while end and tokens.special[end - 1]:
        end -= 1
    return tokens.until(end)


def check_usable(tokenizer: Any, prompt: list[int], answer: list[int], words: list[Any]) -> None:
    """Check the tokens of a prompt and its answer.

    Raises:
        Unusable: unknown or special tokens, or a prompt without words.
    """
    unknown = tokenizer.unk_token_id
    special = set(tokenizer.all_special_ids) - {unknown}
    if not answer or (unknown is not None and unknown in answer):
        raise Unusable("the answer has unknown tokens")
    if special.intersection(answer):
        raise Unusable("the answer holds a special token")
    # GPT-2's tokenizer declares its end of text as the unknown token: it never replaces a word.
    if unknown is not None and unknown != tokenizer.eos_token_id and unknown in prompt:
        raise Unusable("the prompt has unknown tokens")
    if not words:
        raise Unusable("the prompt has no words")


def check_length(length: int, longest: int) -> None:
    """Check a prompt's length.

    Raises:
        Unusable: it is too long.
    """
    if length > longest:
        raise Unusable(f"too long: {length} tokens, the model takes {longest}")
