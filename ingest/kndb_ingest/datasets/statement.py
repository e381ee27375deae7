"""What readers return: facts stated in a language, before they become prompts. Reads no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kndb.facts import Fact

REFERENCE_LANG = "en"


@dataclass(frozen=True, slots=True)
class Statement:
    """One fact in one language, with all its templates; each template makes one prompt."""

    fact: Fact
    lang: str
    subject: str
    answer: str
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The requested languages and relations; an empty set stands for all."""

    langs: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()

    def has(self, lang: str, relation_id: str) -> bool:
        """Whether statements in this language and relation are requested."""
        return (not self.langs or lang in self.langs) and (
            not self.relations or relation_id in self.relations
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader found: statements, and all languages and relations in the data set.

    A reader may skip statements that are not wanted, but ``langs`` and ``relations`` are always
    complete. ``labels`` maps the identifiers of relations to their names, where known.
    """

    statements: Sequence[Statement]
    langs: frozenset[str]
    relations: frozenset[str]
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def whole(
        cls, statements: Sequence[Statement], labels: Mapping[str, str] | None = None
    ) -> Contents:
        """The contents of a data set that was read completely."""
        return cls(
            statements,
            frozenset(statement.lang for statement in statements),
            frozenset(statement.fact.relation_id for statement in statements),
            labels or {},
        )


def label_id(label: str) -> str:
    """An identifier made from a label, for data sets without identifiers.

    >>> label_id("Charles II of Spain")
    'Charles-II-of-Spain'
    """
    return "-".join(label.split())


def reference_lang(langs: Iterable[str]) -> str:
    """The language whose labels become identifiers: English, or the alphabetically first."""
    return min(langs, key=lambda lang: (lang != REFERENCE_LANG, lang))
