"""Readable names of relations for data sets that give identifiers only. Reads one small file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".tsv")


def relation_label(relation_id: str) -> str:
    """Wikidata's English name of a property; the identifier itself if it is another.

    >>> relation_label("P36"), relation_label("is-near")
    ('capital', 'is-near')
    """
    return _labels().get(relation_id, relation_id)


@cache
def _labels() -> dict[str, str]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("\t") for line in lines if not line.startswith("#"))
    return {relation_id: label for relation_id, _, label in pairs}
