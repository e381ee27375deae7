"""The table of known forms. To add one, write its module and add a row; nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kndb.errors import DatasetError
from kndb_ingest.datasets import amig, bmlama, counterfact, flat, mlama, mpararel, pararel
from kndb_ingest.datasets.statement import Contents, Wanted


class Reader(Protocol):
    """What the module of a form offers."""

    def matches(self, path: Path) -> bool:
        """Whether the path has this form; looks at names and first bytes only."""

    def files(self, path: Path) -> list[Path]:
        """Every data file, in any order, whatever is wanted of them."""

    def read(self, path: Path, wanted: Wanted) -> Contents:
        """Everything wanted, or more: what is not wanted may be left unread."""


@dataclass(frozen=True, slots=True)
class Format:
    """A known form: its name, how people recognise it, and the module that reads it."""

    name: str
    form: str
    reader: Reader


# The first that matches reads. kndb's own form is last: it takes any file of the right suffix.
FORMATS = (
    Format(
        "mpararel", "mParaRel folder (patterns/LANG/P36.jsonl, tuples/LANG/P36.jsonl)", mpararel
    ),
    Format("pararel", "ParaRel folder (pattern_data/graphs_json, trex_lms_vocab)", pararel),
    Format("mlama", "mLAMA folder (LANG/templates.jsonl, LANG/P36.jsonl)", mlama),
    Format("bmlama", "BMLAMA TSV (Prompt, Ans, Candidate Ans, Subject)", bmlama),
    Format("amig", "AMIG JSON (sentences, relation_name, obj_label by uuid)", amig),
    Format("counterfact", "CounterFact JSON (a list with requested_rewrite)", counterfact),
    Format("kndb", f"kndb JSONL, CSV or Parquet ({', '.join(flat.COLUMNS)})", flat),
)


def recognise(path: Path) -> Format:
    """The form of the data set at ``path``.

    Raises:
        DatasetError: there is nothing there, or nothing of a known form.
    """
    if not path.exists():
        raise DatasetError(f"There is no data set at {str(path)!r}; give a folder or a file.")
    for form in FORMATS:
        if form.reader.matches(path):
            return form
    known = "; ".join(form.form for form in FORMATS)
    raise DatasetError(f"{str(path)!r} has none of the known forms; give one of these: {known}.")
