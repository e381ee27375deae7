"""Reads an mParaRel folder: ``patterns/{lang}/{Pxx}.jsonl`` and ``tuples/{lang}/{Pxx}.jsonl``.

A fact is identified by ``sub_uri`` and ``obj_uri``, which are the same in all languages. A relation
without patterns in a language is skipped in that language.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kndb.facts import Fact
from kndb_ingest.datasets.files import DataFile
from kndb_ingest.datasets.statement import Contents, Statement, Wanted


def matches(path: Path) -> bool:
    """Whether the path has this format."""
    return (path / "patterns").is_dir() and (path / "tuples").is_dir()


def files(path: Path) -> list[Path]:
    """Every data file."""
    return [*path.glob("patterns/*/*.jsonl"), *path.glob("tuples/*/*.jsonl")]


def read(path: Path, wanted: Wanted) -> Contents:
    """Read the wanted languages and relations."""
    pairs = sections(path)
    return Contents(
        [s for pair in pairs if wanted.has(*pair) for s in read_section(path, *pair)],
        frozenset(lang for lang, _ in pairs),
        frozenset(relation_id for _, relation_id in pairs),
    )


def sections(path: Path) -> list[tuple[str, str]]:
    """The pairs of language and relation that have both patterns and tuples."""
    found = ((file.parent.name, file.stem) for file in path.glob("tuples/*/*.jsonl"))
    return sorted(pair for pair in found if patterns_file(path, *pair).is_file())


def patterns_file(path: Path, lang: str, relation_id: str) -> Path:
    """The file with the patterns of a relation in a language."""
    return path / "patterns" / lang / f"{relation_id}.jsonl"


def read_section(path: Path, lang: str, relation_id: str) -> Iterator[Statement]:
    """The statements of one relation in one language."""
    patterns = DataFile.of(path, patterns_file(path, lang, relation_id))
    tuples = DataFile.of(path, path / "tuples" / lang / f"{relation_id}.jsonl")
    templates = tuple(record.text("pattern") for record in patterns.json_lines())
    for record in tuples.json_lines():
        fact = Fact(relation_id, record.identifier("sub_uri"), record.identifier("obj_uri"))
        yield Statement(fact, lang, record.text("sub_label"), record.text("obj_label"), templates)
