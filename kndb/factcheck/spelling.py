"""When two texts are the same for a fact check: case, spacing, width and the final stop aside.

Any other difference counts: an accent, a missing word or another script makes another text. Uses
neither index nor model.
"""

from __future__ import annotations

import re
import unicodedata

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_AROUND_UNSPACED = re.compile(rf"\s+(?=[{_UNSPACED}])|(?<=[{_UNSPACED}])\s+")
_BEFORE_MARK = re.compile(r"\s+(?=[,;:.!?)])")
_LAST_STOP = re.compile(r"\s*[.。!]+\s*$")
_APOSTROPHES = str.maketrans("‘’ʼ`´", "'''''")

_MARKUP = re.compile(r"[<>{}\[\]|*_#\\`~^=@$]|&\w+;|https?:")
_SEVERAL_CLAUSES = re.compile(r"[,;:!?。，；：]|[.] ")


def canonical(text: str) -> str:
    """The text in one spelling, with its case kept.

    >>> canonical(" Ｔｈｅ capital  of France is Paris . ")
    'The capital of France is Paris'
    >>> canonical("法国 的首都是 巴黎。")
    '法国的首都是巴黎'
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES))
    text = " ".join(text.split())
    text = _BEFORE_MARK.sub("", _AROUND_UNSPACED.sub("", text))
    return _LAST_STOP.sub("", text)


def fold(text: str) -> str:
    """The text without case, as long as before, so that positions in both agree.

    >>> fold("İstanbul Straße")
    'İstanbul straße'
    """
    lower = ((character, character.lower()) for character in text)
    return "".join(small if len(small) == 1 else character for character, small in lower)


def same(text: str) -> str:
    """The text in the form in which equal texts compare equal."""
    return fold(canonical(text))


def scripts(text: str) -> set[str]:
    """The scripts of the letters, by the first word of their Unicode names.

    >>> sorted(scripts("Paris 巴黎 1"))
    ['CJK', 'LATIN']
    """
    return {unicodedata.name(c, "UNKNOWN").split()[0] for c in text if c.isalpha()}


def name_problem(answer: str) -> str | None:
    """Why a text cannot be a name, in a few words; None if it can.

    >>> name_problem("Paris, which lies on the Seine")
    'the answer is more than a name'
    """
    if not any(character.isalnum() for character in answer):
        return "the answer has no letter"
    if _MARKUP.search(answer) or any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in answer):
        return "the answer holds markup"
    if _SEVERAL_CLAUSES.search(answer):
        return "the answer is more than a name"
    return None
