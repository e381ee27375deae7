"""Where the tokens of a tokenizer without offsets are in the text.

Tokenizers written in Python give no offsets. Their tokens are decoded to text, one after another,
and located in the original, ignoring case, accents and compatibility forms (NFKD).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from kndb.models.words import Span

_BROKEN = "\ufffd"  # what decoding gives for part of a character
_MOST_BYTES = 4  # per character in UTF-8


def align(tokenizer: Any, text: str, ids: Sequence[int]) -> list[Span] | None:
    """``(start, end)`` characters of each token; None if the tokens are not found in the text.

    Tokens that share one character all get the span of that character. Special tokens that are not
    in the text, and white-space tokens, get the span of the white space there, if any.

    A WordPiece tokenizer with the tokens ``["[CLS]", "par", "##is", "[SEP]"]`` for ``" Paris"``
    gives ``[(0, 1), (1, 4), (4, 6), (6, 6)]``.
    """
    tokens = tokenizer.convert_ids_to_tokens(ids)
    every_special = set(tokenizer.all_special_ids)
    special = [i in every_special for i in ids]
    for fold in (_without_case, _without_accents):
        spans = _Reader(tokenizer, text, fold).read(tokens, special)
        if spans is not None:
            return spans
    return None


def _without_case(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c)[0] != "C")


def _without_accents(text: str) -> str:
    return "".join(c for c in _without_case(text) if unicodedata.category(c) != "Mn")


def is_space(token: str) -> bool:
    """Whether a token's name stands for white space: "▁", or "Ġ" for bytes."""
    return not token.strip("▁Ġ ")


class _Reader:
    """A position in a folded text that advances token by token."""

    def __init__(self, tokenizer: Any, text: str, fold: Callable[[str], str]) -> None:
        self.tokenizer = tokenizer
        self.fold = fold
        folded = [(c, i) for i, original in enumerate(text) for c in fold(original)]
        self.text = "".join(c for c, _ in folded)
        self.origin = [i for _, i in folded] + [len(text)]
        self.at = 0

    def read(self, tokens: Sequence[str], special: Sequence[bool]) -> list[Span] | None:
        spans: list[Span] = []
        while len(spans) < len(tokens):
            i = len(spans)
            n, surface = (1, self.fold(tokens[i])) if special[i] else self._surface(tokens[i:])
            if not self.text.startswith(surface, self.at):
                if not special[i]:
                    return None
                surface = ""  # added around the text
            spans += [self._advance(len(surface))] * n
        return spans if self.at == len(self.text) else None

    def _surface(self, tokens: Sequence[str]) -> tuple[int, str]:
        """How many of the next tokens make up whole characters, and those characters, folded."""
        if is_space(tokens[0]):
            return 1, ""
        for n in range(1, _MOST_BYTES + 1):
            surface = self.tokenizer.convert_tokens_to_string(list(tokens[:n]))
            if surface and _BROKEN not in surface:
                break
        return min(n, len(tokens)), self.fold(surface.removeprefix("##").removesuffix("@@"))

    def _advance(self, length: int) -> Span:
        """The span of the next ``length`` characters; if 0, of the white space before them."""
        last = self.origin[self.at - 1] + 1 if self.at else 0
        if not length:
            return last, max(last, self.origin[self.at])
        start = self.origin[self.at]
        self.at += length
        return start, self.origin[self.at - 1] + 1
