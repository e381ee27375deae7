"""Templates as forms that a claim's text can fit, and the template that is nearest to a text.

Knows no subjects and no answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log

from kndb.factcheck.spelling import same
from kndb.factcheck.wording import reworded, words_of
from kndb.facts import OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER
from kndb.store.prompts import RelationLang

_SUBJECT, _OBJECT = "\ue000", "\ue001"  # private characters that no text contains

Span = tuple[int, int]


@dataclass(frozen=True)
class Form:
    """A template: the text before, between and after its two slots, without case.

    ``fact_keys`` are set if the template itself names its subject.
    """

    relation_id: str
    lang: str
    template: str
    parts: tuple[str, ...]
    subject_first: bool
    fact_keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, relation: str, lang: str, template: str, keys: Iterable[str]) -> Form:
        """The form of a template."""
        return cls(relation, lang, template, *_parts(template), frozenset(keys))

    @property
    def relation_lang(self) -> RelationLang:
        """Its relation and language."""
        return RelationLang(self.relation_id, self.lang)

    def reworded(self) -> Iterator[Form]:
        """Forms that say the same in other words; they keep the template."""
        for other in reworded(self.template, self.lang):
            parts, subject_first = _parts(other)
            yield replace(self, parts=parts, subject_first=subject_first)

    def fillings(self, text: str) -> Iterator[tuple[Span, Span]]:
        """Every way to fit the text: the spans of its subject and of its answer."""
        first, last = self.parts[0], self.parts[-1]
        start, end = len(first), len(text) - len(last)
        if end <= start or not (text.startswith(first) and text.endswith(last)):
            return
        if len(self.parts) == 2:
            yield (0, 0), (start, end)
            return
        middle = self.parts[1]
        cut = text.find(middle, start + 1, end)
        while cut != -1 and cut + len(middle) < end:
            one, other = (start, cut), (cut + len(middle), end)
            yield (one, other) if self.subject_first else (other, one)
            cut = text.find(middle, cut + 1, end)


def _parts(template: str) -> tuple[tuple[str, ...], bool]:
    """The texts around the slots, and whether the subject's is the first."""
    marked = template.replace(SUBJECT_PLACEHOLDER, _SUBJECT).replace(OBJECT_PLACEHOLDER, _OBJECT)
    # A full stop after a placeholder is dropped, as it is from a claim.
    spelled = same(marked)
    parts = tuple(spelled.replace(_SUBJECT, _OBJECT).split(_OBJECT))
    return parts, spelled.find(_SUBJECT) < spelled.find(_OBJECT)


def other_words(forms: Sequence[Form]) -> list[Form]:
    """The forms that say the same as these in other words, without these."""
    own = {(form.relation_lang, form.parts, form.subject_first) for form in forms}
    found: dict[object, Form] = {}
    for form in forms:
        for other in () if form.fact_keys else form.reworded():
            key = (other.relation_lang, other.parts, other.subject_first)
            if key not in own:
                found.setdefault(key, other)
    return list(found.values())


class Nearest:
    """Finds the template that shares most words with a text.

    A word counts for more the fewer relations of its language use it: "capital" decides, "of" and
    "is" hardly do.
    """

    def __init__(self, forms: Sequence[Form]) -> None:
        self._words = [(form, words_of(" ".join(form.parts))) for form in forms]
        relations: dict[tuple[str, str], set[str]] = defaultdict(set)
        for form, words in self._words:
            for word in words:
                relations[form.lang, word].add(form.relation_id)
        every = Counter(lang for lang, _ in {(form.lang, form.relation_id) for form in forms})
        self._weights = {
            (lang, word): log(1 + every[lang] / len(own)) for (lang, word), own in relations.items()
        }

    def to(self, text: str, lang: str | None = None) -> str | None:
        """The nearest template; None if none shares a third of its weight with the text."""
        words = words_of(text)
        best: float = 1 / 3
        template: str | None = None
        for form, own in self._words:
            if lang is not None and form.lang.lower() != lang.lower():
                continue
            whole = sum(self._weights[form.lang, word] for word in own)
            shared = sum(self._weights[form.lang, word] for word in own & words)
            if whole and shared / whole >= best + 1e-9:
                best, template = shared / whole, form.template
        return template
