"""Reads BMLAMA: one TSV file per language, such as ``zh.tsv``, or a single such file.

Columns: prompt with ``<mask>``, answer, candidates, subject. Row n is the same fact in every
language. The files have no identifiers, so the English row (or that of the alphabetically first
language) provides them: its labels identify subject and object, its template the relation. The
header is matched word by word, because the published Chinese one has a stray tab.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kndb.facts import OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER, Fact
from kndb_ingest.datasets.files import DataFile, Record, head, malformed
from kndb_ingest.datasets.statement import Contents, Statement, Wanted, label_id, reference_lang

HEADER = ["Prompt", "Ans", "Candidate", "Ans", "Subject"]
COLUMNS = ("Prompt", "Ans", "Candidate Ans", "Subject")
MASK = "<mask>"
UNKNOWN_RELATION = "bmlama"


@dataclass(frozen=True, slots=True)
class BmlamaRow:
    """One prompt: its template with ``[X]`` and ``[Y]``, its subject and its answer."""

    template: str
    subject: str
    answer: str
    place: str


def matches(path: Path) -> bool:
    """Whether the path has this format."""
    return bool(files(path))


def files(path: Path) -> list[Path]:
    """Every data file."""
    candidates = sorted(path.glob("*.tsv")) if path.is_dir() else [path]
    return [file for file in candidates if head(file).partition("\n")[0].split() == HEADER]


def read(path: Path, wanted: Wanted) -> Contents:
    """Read every language, because the rows of one provide the facts of all.

    Raises:
        DatasetError: the languages differ in their number of rows.
    """
    rows = {file.stem: read_rows(DataFile.of(path, file)) for file in files(path)}
    reference = rows[reference_lang(rows)]
    for lang, others in rows.items():
        require_same_length(lang, others, reference)
    facts = [row_fact(row) for row in reference]
    labels = {fact.relation_id: row.template for fact, row in zip(facts, reference, strict=True)}
    statements = [
        Statement(fact, lang, row.subject, row.answer, (row.template,))
        for lang, others in rows.items()
        for fact, row in zip(facts, others, strict=True)
    ]
    labels.pop(UNKNOWN_RELATION, None)
    return Contents.whole(statements, labels)


def read_rows(file: DataFile) -> list[BmlamaRow]:
    """The rows below the header, without blank lines."""
    lines = list(file.lines())[1:]
    return [read_row(file.line(number), line) for number, line in lines]


def read_row(place: str, line: str) -> BmlamaRow:
    """One row; the subject becomes ``[X]`` if the prompt contains it verbatim."""
    fields = line.split("\t")
    if len(fields) != len(COLUMNS):
        raise malformed(place, f"{len(fields)} columns instead of {len(COLUMNS)}")
    record = Record(dict(zip(COLUMNS, fields, strict=True)), place)
    subject = record.text("Subject")
    prompt = record.text("Prompt")
    sentence = prompt.replace(subject, SUBJECT_PLACEHOLDER, 1) if subject else prompt
    template = sentence.replace(MASK, OBJECT_PLACEHOLDER)
    return BmlamaRow(template, subject, record.text("Ans"), place)


def require_same_length(
    lang: str, rows: Sequence[BmlamaRow], reference: Sequence[BmlamaRow]
) -> None:
    """Reject languages whose rows cannot be aligned."""
    if len(rows) != len(reference):
        problem = f"{len(rows)} rows in {lang!r}, {len(reference)} in the reference language"
        raise malformed(rows[-1].place if rows else lang, problem)


def row_fact(row: BmlamaRow) -> Fact:
    """The fact stated by a row of the reference language."""
    relation_id = UNKNOWN_RELATION
    if SUBJECT_PLACEHOLDER in row.template:
        relation_id = template_id(row.template)
    if not row.subject:
        raise malformed(row.place, "'Subject' is empty, but it identifies the fact")
    return Fact(relation_id, label_id(row.subject), label_id(row.answer))


def template_id(template: str) -> str:
    """An identifier made from a template's words.

    >>> template_id("[X] was born in [Y].")
    'x-was-born-in-y'
    """
    return "-".join(re.findall(r"\w+", template)).lower()
