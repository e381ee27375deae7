"""Reads the JSON of CounterFact (Meng et al. 2022): a list of records with ``requested_rewrite``.

The fact is the true one, ``target_true``. Its templates are the rewrite's prompt and the
paraphrases, with the object appended. Subjects have no identifiers, so their labels are used. The
language is the file's name if that is a language code (``zh.json``), otherwise English. The
counterfactual object and the other prompts are ignored.
"""

from __future__ import annotations

from pathlib import Path

from kndb.facts import OBJECT_PLACEHOLDER, SUBJECT_PLACEHOLDER, Fact
from kndb_ingest.datasets.files import DataFile, Record, as_record, file_lang, head, malformed
from kndb_ingest.datasets.statement import (
    REFERENCE_LANG,
    Contents,
    Statement,
    Wanted,
    label_id,
)

REWRITE = "requested_rewrite"
PARAPHRASES = "paraphrase_prompts"
UNSPACED_LANGS = {"ja", "th", "zh"}


def matches(path: Path) -> bool:
    """Whether the path has this format."""
    text = head(path)
    return text.startswith("[") and f'"{REWRITE}"' in text


def files(path: Path) -> list[Path]:
    """Every data file."""
    return [path]


def read(path: Path, wanted: Wanted) -> Contents:
    """Read every record."""
    file = DataFile.of(path, path)
    values = file.json()
    if not isinstance(values, list):
        raise malformed(file.name, "not a list of records")
    records = (as_record(v, f"{file.name} record {n}") for n, v in enumerate(values, start=1))
    lang = file_lang(path) or REFERENCE_LANG
    return Contents.whole([read_record(record, lang) for record in records])


def read_record(record: Record, lang: str) -> Statement:
    """The true fact of one record."""
    rewrite = record.record(REWRITE)
    subject = rewrite.identifier("subject")
    target = rewrite.record("target_true")
    fact = Fact(rewrite.identifier("relation_id"), label_id(subject), target.identifier("id"))
    paraphrases = record.texts(PARAPHRASES) if PARAPHRASES in record.values else ()
    prompts = (
        rewrite.text("prompt").replace("{}", SUBJECT_PLACEHOLDER),
        *(text.replace(subject, SUBJECT_PLACEHOLDER) for text in paraphrases),
    )
    templates = tuple(with_object(prompt, lang) for prompt in prompts)
    return Statement(fact, lang, subject, target.text("str"), templates)


def with_object(prompt: str, lang: str) -> str:
    """The prompt with the object appended.

    >>> with_object("The mother tongue of [X] is", "en")
    'The mother tongue of [X] is [Y]'
    """
    space = "" if lang.partition("-")[0] in UNSPACED_LANGS else " "
    return f"{prompt}{space}{OBJECT_PLACEHOLDER}"
