"""Reads an mLAMA folder: ``{lang}/templates.jsonl`` beside ``{lang}/{Pxx}.jsonl``.

The folder of a single language can be read too. Languages without ``templates.jsonl`` are skipped,
and so are relations without a template in a language.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kndb.facts import Fact
from kndb_ingest.datasets.files import DataFile, Record
from kndb_ingest.datasets.statement import Contents, Statement, Wanted

TEMPLATES = "templates.jsonl"


def matches(path: Path) -> bool:
    """Whether the path has this format."""
    return path.is_dir() and bool(folders(path))


def files(path: Path) -> list[Path]:
    """Every data file."""
    return [file for folder in folders(path) for file in folder.glob("*.jsonl")]


def folders(path: Path) -> list[Path]:
    """The folders of languages that have templates."""
    own = [path] if (path / TEMPLATES).is_file() else []
    return own or sorted(file.parent for file in path.glob(f"*/{TEMPLATES}"))


def read(path: Path, wanted: Wanted) -> Contents:
    """Read the wanted languages and relations."""
    statements: list[Statement] = []
    labels: dict[str, str] = {}
    langs, relations = set(), set()
    for folder in folders(path):
        lang = folder.resolve().name
        templates = read_templates(DataFile.of(path, folder / TEMPLATES), labels)
        for relation_id in sorted(templates):
            if not (folder / f"{relation_id}.jsonl").is_file():
                continue
            langs.add(lang)
            relations.add(relation_id)
            if wanted.has(lang, relation_id):
                triples = DataFile.of(path, folder / f"{relation_id}.jsonl")
                statements += read_triples(triples, lang, relation_id, templates[relation_id])
    return Contents(statements, frozenset(langs), frozenset(relations), labels)


def read_templates(file: DataFile, labels: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The templates by relation; adds the relations' labels to ``labels``."""
    templates: dict[str, tuple[str, ...]] = {}
    for record in file.json_lines():
        relation_id = record.identifier("relation")
        templates[relation_id] = (*templates.get(relation_id, ()), record.text("template"))
        add_label(labels, relation_id, record)
    return templates


def add_label(labels: dict[str, str], relation_id: str, record: Record) -> None:
    """Add the relation's label from a record, unless one is already known."""
    if record.values.get("label"):
        labels.setdefault(relation_id, record.text("label"))


def read_triples(
    file: DataFile, lang: str, relation_id: str, templates: tuple[str, ...]
) -> Iterator[Statement]:
    """The statements of one relation in one language."""
    for record in file.json_lines():
        fact = Fact(relation_id, record.identifier("sub_uri"), record.identifier("obj_uri"))
        yield Statement(fact, lang, record.text("sub_label"), record.text("obj_label"), templates)
