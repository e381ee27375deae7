"""Other ways to say what a template says, and words that deny a claim, by language.

Only sentences that equate a noun of the subject with the answer are reworded: "the capital of S is
O", in any order. The noun ("capital city") comes from the templates, so that another relation's
words never match. Knows neither databases nor models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from kndb.facts import OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER

_DASHES = ("{} S — O", "{} S – O", "{} S - O", "{} S — это O", "{} S - это O", "{} S это O")

SHAPES: Mapping[str, tuple[str, ...]] = {
    "en": (
        "the {} of S is the O",
        "the {} of S is called the O",
        "the {} of S is called O",
        "the {} of S is O",
        "S's {} is the O",
        "S's {} is called the O",
        "S's {} is called O",
        "S's {} is O",
        "S' {} is the O",
        "S' {} is O",
        "the O is the {} of S",
        "the O is S's {}",
        "O is the {} of S",
        "O is S's {}",
        "O is S' {}",
    ),
    "es": (
        "{} de S es el O",
        "{} de S es la O",
        "{} de S es O",
        "{} de S se llama O",
        "el O es {} de S",
        "la O es {} de S",
        "O es {} de S",
    ),
    "fr": (
        "{} de S est le O",
        "{} de S est la O",
        "{} de S est O",
        "{} de S s'appelle O",
        "le O est {} de S",
        "la O est {} de S",
        "O est {} de S",
    ),
    "de": ("{} von S ist der O", "{} von S ist die O", "{} von S ist O", "O ist {} von S"),
    "ru": (
        *_DASHES,
        "{} S называется O",
        "O — {} S",
        "O – {} S",
        "O - {} S",
        "O — это {} S",
        "O - это {} S",
        "O это {} S",
    ),
    "zh": (
        "S的{}是O",
        "S的{}叫做O",
        "S的{}叫O",
        "S的{}为O",
        "S{}是O",
        "S{}为O",
        "O是S的{}",
        "O是S{}",
        "O为S的{}",
    ),
}
"""Sentences that say the same, by language: ``{}`` is a noun, S the subject, O the answer."""

_NOUN = r"(\w+(?:[ '-]\w+){0,3})"

ARTICLES: Mapping[str, tuple[str, ...]] = {"en": ("the ",), "es": ("el ", "la ", "los ", "las ")}
"""Articles that some names carry and others lack: the Netherlands, or Netherlands."""

_DENIALS: Mapping[str, str] = {
    "ar": "ليس ليست لا",
    "bg": "не",
    "ca": "no",
    "da": "ikke",
    "de": "nicht kein keine",
    "en": "not no never",
    "es": "no nunca",
    "fr": "pas non jamais",
    "he": "לא",
    "id": "bukan tidak",
    "it": "non mai",
    "ms": "bukan tidak",
    "nl": "niet geen",
    "pl": "nie",
    "pt": "não nunca",
    "ro": "nu",
    "ru": "не нет",
    "sv": "inte",
    "tr": "değil",
    "uk": "не",
    "vi": "không",
}
_UNSPACED_DENIALS: Mapping[str, tuple[str, ...]] = {
    "zh": ("不", "并不", "并非", "没", "没有", "非")
}


def base_of(lang: str) -> str:
    """The language without its variant.

    >>> base_of("zh-hans")
    'zh'
    """
    return re.split(r"[-_]", lang.lower())[0]


def reworded(template: str, lang: str) -> Iterator[str]:
    """The same said in other words, in lower case; nothing if the template's form is unknown.

    >>> list(reworded("The capital city of [X] is called [Y].", "en"))[7]
    "[X]'s capital city is [Y]"
    """
    plain = template.strip().rstrip(".。").replace("’", "'")
    for shape in SHAPES.get(base_of(lang), ()):
        for subject, answer in (
            (SUBJECT_PLACEHOLDER, OBJECT_PLACEHOLDER),
            (OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER),
        ):
            if found := _pattern(shape, subject, answer).fullmatch(plain):
                for other in SHAPES[base_of(lang)]:
                    yield _filled(other, found[1].lower(), subject, answer)
                return


def _filled(shape: str, noun: str, subject: str, answer: str) -> str:
    return shape.replace("S", subject).replace("O", answer).replace("{}", noun)


@lru_cache(1024)
def _pattern(shape: str, subject: str, answer: str) -> re.Pattern[str]:
    text = _filled(re.escape(shape), "\0", re.escape(subject), re.escape(answer))
    return re.compile(text.replace(r"\{\}", _NOUN), re.IGNORECASE)


def denies(answer: str, lang: str) -> bool:
    """Whether a text in an answer's place begins or ends with a denial.

    >>> denies("not Kigali", "en"), denies("Kigali", "en")
    (True, False)
    """
    base = base_of(lang)
    words = answer.lower().split()
    said = set(_DENIALS.get(base, "").split())
    parts = _UNSPACED_DENIALS.get(base, ())
    return not said.isdisjoint((words[0], words[-1]) if words else ()) or any(
        answer.startswith(part) or answer.endswith(part) for part in parts
    )


def words_of(text: str) -> frozenset[str]:
    """The words of a text; characters of scripts without spaces stand for themselves.

    >>> sorted(words_of("the capital of 法国"))
    ['capital', 'of', 'the', '国', '法']
    """
    return frozenset(
        re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+", text)
    )


def with_article(name: str, lang: str) -> Iterable[str]:
    """A name with each article of its language in front."""
    return (article + name for article in ARTICLES.get(base_of(lang), ()))
