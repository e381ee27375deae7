"""Facts, relations and prompts: the words of the field as values. No files, no models, no database.

A *fact* is language-independent: a relation between a subject and an object, all three known by
identifiers. A *prompt* says a fact in one language by one template, with the object left out.

>>> fact = Fact("P36", "Q142", "Q90")
>>> fact.key
'P36:Q142'
>>> Prompt(fact, "en", "The capital of [X] is [Y].", "France", "Paris").text
'The capital of France is [MASK].'
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SUBJECT_PLACEHOLDER = "[X]"
OBJECT_PLACEHOLDER = "[Y]"
MASK_PLACEHOLDER = "[MASK]"


def content_id(*parts: str | int) -> int:
    """A stable 63-bit identifier of the given parts, in their order.

    It is the head of a SHA-256, so databases made apart merge without renumbering.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation between subject and object: ``Relation("P36", "capital")``."""

    relation_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A language-independent fact, known by the identifiers of its three parts."""

    relation_id: str
    subject_id: str
    object_id: str

    @property
    def key(self) -> str:
        """Relation and subject, as people write it: ``P36:Q142``."""
        return f"{self.relation_id}:{self.subject_id}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A fact said in one language by one template, with the object left out.

    ``template`` keeps ``[X]`` and ``[Y]``; ``answer`` is the object's label in ``lang``. A data
    set may hold prompts that no model can use (no ``[Y]``, an empty answer): they are kept, and
    reported as skipped with the reason.
    """

    fact: Fact
    lang: str
    template: str
    subject: str
    answer: str

    @property
    def text(self) -> str:
        """The prompt as every model gets it: subject filled in, ``[MASK]`` for the answer."""
        return self.template.replace(OBJECT_PLACEHOLDER, MASK_PLACEHOLDER).replace(
            SUBJECT_PLACEHOLDER, self.subject
        )
