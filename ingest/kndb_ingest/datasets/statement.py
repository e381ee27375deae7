"""What readers hand over: facts said in a language, before they become prompts. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kndb.facts import Fact

REFERENCE_LANG = "en"


@dataclass(frozen=True, slots=True)
class Statement:
    """One fact in one language, with every template that says it: a prompt for each template."""

    fact: Fact
    lang: str
    subject: str
    answer: str
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The languages and relations asked for; an empty set asks for all."""

    langs: frozenset[str] = frozenset()
    relations: frozenset[str] = frozenset()

    def has(self, lang: str, relation_id: str) -> bool:
        """Whether a statement of this language and relation is asked for."""
        return (not self.langs or lang in self.langs) and (
            not self.relations or relation_id in self.relations
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader found: statements, and every language and relation there is.

    A reader may leave statements that are not wanted unread; ``langs`` and ``relations`` name
    what exists all the same. ``labels`` holds the relations' names by identifier, where known.
    """

    statements: Sequence[Statement]
    langs: frozenset[str]
    relations: frozenset[str]
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def whole(
        cls, statements: Sequence[Statement], labels: Mapping[str, str] | None = None
    ) -> Contents:
        """The contents of a data set of which every statement was read."""
        return cls(
            statements,
            frozenset(statement.lang for statement in statements),
            frozenset(statement.fact.relation_id for statement in statements),
            labels or {},
        )


def label_id(label: str) -> str:
    """An identifier made of a label, for data sets without identifiers of their own.

    >>> label_id("Charles II of Spain")
    'Charles-II-of-Spain'
    """
    return "-".join(label.split())


def reference_lang(langs: Iterable[str]) -> str:
    """The language whose labels become identifiers: English, or else the first by name."""
    return min(langs, key=lambda lang: (lang != REFERENCE_LANG, lang))
