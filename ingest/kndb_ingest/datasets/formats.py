"""The table of known formats. To add one, write its module and add a row; nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kndb.errors import DatasetError
from kndb_ingest.datasets import amig, bmlama, counterfact, flat, mlama, mpararel, pararel
from kndb_ingest.datasets.statement import Contents, Wanted


class Reader(Protocol):
    """What the module of each format provides."""

    def matches(self, path: Path) -> bool:
        """Whether the path has this format, judged by names and first bytes only."""

    def files(self, path: Path) -> list[Path]:
        """All data files, in any order, whatever is selected."""

    def read(self, path: Path, wanted: Wanted) -> Contents:
        """At least everything wanted; the rest may be left unread."""


@dataclass(frozen=True, slots=True)
class Format:
    """A known format: its name, a description for messages, and the module that reads it."""

    name: str
    form: str
    reader: Reader


# The first match is used. kndb's own format is last: it accepts any file with the right suffix.
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
    """The format of the data set at ``path``.

    Raises:
        DatasetError: the path does not exist, or its format is unknown.
    """
    if not path.exists():
        raise DatasetError(f"There is no data set at {str(path)!r}; give a folder or a file.")
    for form in FORMATS:
        if form.reader.matches(path):
            return form
    known = "; ".join(form.form for form in FORMATS)
    raise DatasetError(f"The format of {str(path)!r} is unknown; give one of these: {known}.")
