"""Facts, relations and prompts as plain values. No files, models or databases.

A *fact* is language-independent: a relation between a subject and an object, all three given by
identifiers. A *prompt* states a fact in one language with one template, leaving out the object.

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
    """A stable 63-bit identifier computed from the given parts, in order.

    It is the start of a SHA-256 hash, so separately built databases merge without renumbering.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation between a subject and an object: ``Relation("P36", "capital")``."""

    relation_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A language-independent fact, given by the identifiers of its three parts."""

    relation_id: str
    subject_id: str
    object_id: str

    @property
    def key(self) -> str:
        """Relation and subject in the form users write: ``P36:Q142``."""
        return f"{self.relation_id}:{self.subject_id}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A fact stated in one language with one template, without its object.

    ``template`` contains ``[X]`` and ``[Y]``; ``answer`` is the object's label in ``lang``. Prompts
    that no model can use (no ``[Y]``, an empty answer) are kept, and reported as skipped with the
    reason.
    """

    fact: Fact
    lang: str
    template: str
    subject: str
    answer: str

    @property
    def text(self) -> str:
        """The prompt, the same for every model: subject filled in, ``[MASK]`` for the answer."""
        return self.template.replace(OBJECT_PLACEHOLDER, MASK_PLACEHOLDER).replace(
            SUBJECT_PLACEHOLDER, self.subject
        )
