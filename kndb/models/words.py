"""The words of a text, as groups of a tokenizer's tokens. Uses characters, no tokenizer.

Words are defined by the text alone: the pre-tokenizers of Gemma, Llama 2 and others leave a whole
sentence as one piece, and each has its own idea of a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from tokenizers.pre_tokenizers import BertPreTokenizer

Span = tuple[int, int]

_PIECES = BertPreTokenizer()

# Letters and vowel signs of scripts that put no space between words, from Unicode's Scripts.txt.
_UNSPACED = re.compile(
    "["
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ece\u0edc-\u0edf"  # Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d"  # kana
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "]"
)


def group_words(
    text: str, spans: Sequence[Span | None], hole: Span | None = None
) -> list[tuple[int, ...]]:
    """The numbers of each word's tokens, in text order.

    The text is split at white space, and each punctuation mark is a piece by itself. A token
    belongs to every piece that it touches; pieces touched by the same token form one word. A token
    with a letter of a script without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) is a
    word by itself. A token of white space alone belongs to the word after it, like the space in
    "Ġof", or to none before a word of such a script.

    Args:
        text: the text that was tokenized.
        spans: ``(start, end)`` characters of each token, empty for white space that the tokenizer
            added; None for a token to leave out.
        hole: span of characters that are not part of the text: the masks in place of the answer.

    >>> group_words("Paris, l'Inde", [(0, 3), (3, 5), (5, 6), (6, 9), (9, 13)])
    [(0, 1), (2,), (3,), (4,)]
    """
    piece_at = _pieces(text, hole)
    begins_word = [1] * (max(piece_at, default=-1) + 1)
    parts: list[tuple[int, list[int]]] = []  # first piece, or -1 for a word by itself; tokens
    spaces: list[int] = []
    for token, span in enumerate(spans):
        if span is None:
            spaces = []
            continue
        pieces = [piece for piece in piece_at[slice(*span)] if piece >= 0]
        if not pieces:
            spaces.append(token)
            continue
        first, last = pieces[0], pieces[-1]
        if _UNSPACED.search(text, *span):
            parts.append((-1, [token]))
        else:
            parts.append((first, [*spaces, token]))
            begins_word[first + 1 : last + 1] = [0] * (last - first)
        spaces = []
    word_of = list(accumulate(begins_word))
    words: dict[int, list[int]] = {}
    for piece, tokens in parts:
        # Words count from 1, so negative numbers are free for tokens that are words by themselves.
        words.setdefault(word_of[piece] if piece >= 0 else -1 - tokens[0], []).extend(tokens)
    return [tuple(tokens) for tokens in words.values()]


def _pieces(text: str, hole: Span | None) -> list[int]:
    """The number of each character's piece; -1 for white space and in the hole."""
    piece_at = [-1] * len(text)
    number = 0
    for start, end in [(0, hole[0]), (hole[1], len(text))] if hole else [(0, len(text))]:
        for _, (a, b) in _PIECES.pre_tokenize_str(text[start:end]):
            piece_at[start + a : start + b] = [number] * (b - a)
            number += 1
    return piece_at
