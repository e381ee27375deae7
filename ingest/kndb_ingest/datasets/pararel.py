"""Reads a ParaRel folder (English): ``pattern_data/graphs_json/`` and ``trex_lms_vocab/``.

Both contain ``{Pxx}.jsonl`` files. A fact's subject is identified by the ``uuid`` on its line, as
in the AMIG format and in published lists of neurons; its object is identified by its label.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kndb.facts import Fact
from kndb_ingest.datasets.files import DataFile
from kndb_ingest.datasets.statement import Contents, Statement, Wanted, label_id

PATTERNS = Path("pattern_data", "graphs_json")
VOCABULARY = Path("trex_lms_vocab")
LANG = "en"


def matches(path: Path) -> bool:
    """Whether the path has this format."""
    return (path / PATTERNS).is_dir() and (path / VOCABULARY).is_dir()


def files(path: Path) -> list[Path]:
    """Every data file."""
    return [*(path / PATTERNS).glob("*.jsonl"), *(path / VOCABULARY).glob("*.jsonl")]


def read(path: Path, wanted: Wanted) -> Contents:
    """Read the wanted relations, skipping those without patterns."""
    found = {
        folder: {f.stem for f in (path / folder).glob("*.jsonl")}
        for folder in (PATTERNS, VOCABULARY)
    }
    relations = found[PATTERNS] & found[VOCABULARY]
    asked = [relation for relation in sorted(relations) if wanted.has(LANG, relation)]
    statements = [s for relation in asked for s in read_relation(path, relation)]
    return Contents(statements, frozenset({LANG}), frozenset(relations))


def read_relation(path: Path, relation_id: str) -> Iterator[Statement]:
    """The statements of one relation."""
    patterns = DataFile.of(path, path / PATTERNS / f"{relation_id}.jsonl")
    vocabulary = DataFile.of(path, path / VOCABULARY / f"{relation_id}.jsonl")
    templates = tuple(record.text("pattern") for record in patterns.json_lines())
    for record in vocabulary.json_lines():
        answer = record.text("obj_label")
        fact = Fact(relation_id, record.identifier("uuid"), label_id(answer))
        yield Statement(fact, LANG, record.text("sub_label"), answer, templates)
