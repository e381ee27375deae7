"""Reads the JSON of the AMIG code: ``{uuid: {sentences, relation_name, obj_label}}``.

It also reads the bilingual form, ``{uuid: {lang: {...}}}``, and a folder with one file per
language, such as ``zh.json``; a single file with any other name is taken to be English. Sentences
have ``[MASK]`` for the object and include the subject, which is not given separately: the uuid
identifies a fact's subject, its label is empty, and its templates have no ``[X]``. Other keys
(``wrong_fact``) are ignored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from kndb.facts import MASK_PLACEHOLDER, OBJECT_PLACEHOLDER, Fact
from kndb_ingest.datasets.files import DataFile, Record, as_record, file_lang, head, valid
from kndb_ingest.datasets.statement import (
    REFERENCE_LANG,
    Contents,
    Statement,
    Wanted,
    label_id,
    reference_lang,
)

SENTENCES = "sentences"


def matches(path: Path) -> bool:
    """Whether the path has this format."""
    return bool(files(path))


def files(path: Path) -> list[Path]:
    """Every data file."""
    named = [file for file in sorted(path.glob("*.json")) if file_lang(file)]
    candidates = named if path.is_dir() else [path]
    return [file for file in candidates if is_amig(head(file))]


def is_amig(text: str) -> bool:
    """Whether a file that starts with ``text`` has this format."""
    return text.startswith("{") and f'"{SENTENCES}"' in text and '"relation_name"' in text


def read(path: Path, wanted: Wanted) -> Contents:
    """Read every language, because one of them provides the object identifiers for all."""
    entries: dict[str, dict[str, Record]] = defaultdict(dict)
    for file in files(path):
        for uuid, lang, entry in read_entries(DataFile.of(path, file)):
            entries[uuid][lang] = entry
    return Contents.whole([s for uuid, langs in entries.items() for s in say(uuid, langs)])


def read_entries(file: DataFile) -> Iterator[tuple[str, str, Record]]:
    """The entries of a file, each with its uuid and language."""
    for uuid, value in as_record(file.json(), file.name).values.items():
        entry = as_record(value, f"{file.name} entry {uuid!r}")
        valid(uuid, file.name, f"the key {uuid!r}")
        if SENTENCES in entry.values:
            yield uuid, file_lang(file.path) or REFERENCE_LANG, entry
        else:
            yield from ((uuid, lang, entry.record(lang)) for lang in entry.values)


def say(uuid: str, langs: Mapping[str, Record]) -> Iterator[Statement]:
    """The statements of one fact, in every language it has."""
    reference = langs[reference_lang(langs)]
    fact = Fact(reference.identifier("relation_name"), uuid, label_id(reference.text("obj_label")))
    for lang, entry in langs.items():
        yield Statement(fact, lang, "", entry.text("obj_label"), read_templates(entry))


def read_templates(entry: Record) -> tuple[str, ...]:
    """The sentences of an entry as templates."""
    return tuple(
        sentence.replace(MASK_PLACEHOLDER, OBJECT_PLACEHOLDER)
        for sentence in entry.texts(SENTENCES)
    )
