"""Reads kndb's own format: a flat table with one row per prompt, as JSONL, CSV or Parquet.

The columns are ``relation, subject_id, object_id, lang, template, subject, answer`` and optionally
``relation_label``; others are ignored. Templates keep the order in which they first occur in their
relation.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from kndb.errors import listed
from kndb.facts import Fact
from kndb_ingest.datasets.files import DataFile, Record, head, malformed
from kndb_ingest.datasets.statement import Contents, Statement, Wanted

COLUMNS = ("relation", "subject_id", "object_id", "lang", "template", "subject", "answer")
LABEL = "relation_label"
SUFFIXES = {".jsonl", ".csv", ".parquet"}
PARQUET_MAGIC = "PAR1"

StatementKey = tuple[Fact, str, str, str]


def matches(path: Path) -> bool:
    """Whether the path has this format, judged by its column names or its suffix."""
    text = head(path)
    first = text.partition("\n")[0]
    known = sum(column in first for column in COLUMNS)
    return text.startswith(PARQUET_MAGIC) or (
        path.is_file() and not text.startswith("[") and (known > 2 or path.suffix in SUFFIXES)
    )


def files(path: Path) -> list[Path]:
    """Every data file."""
    return [path]


def read(path: Path, wanted: Wanted) -> Contents:
    """Read every row."""
    labels: dict[str, str] = {}
    order: dict[tuple[str, str], dict[str, int]] = {}
    groups: dict[StatementKey, set[str]] = {}
    for record in records(DataFile.of(path, path)):
        key, template = read_row(record)
        fact, lang = key[:2]
        ranks = order.setdefault((fact.relation_id, lang), {})
        ranks.setdefault(template, len(ranks))
        groups.setdefault(key, set()).add(template)
        if record.values.get(LABEL):
            labels.setdefault(fact.relation_id, record.text(LABEL))
    statements = [
        Statement(*key, tuple(sorted(texts, key=order[key[0].relation_id, key[1]].__getitem__)))
        for key, texts in groups.items()
    ]
    return Contents.whole(statements, labels)


def read_row(record: Record) -> tuple[StatementKey, str]:
    """The statement that a row belongs to, and its template."""
    require_columns(record.values, record.place)
    fact = Fact(*(record.identifier(column) for column in ("relation", "subject_id", "object_id")))
    key = (fact, record.identifier("lang"), record.text("subject"), record.text("answer"))
    return key, record.text("template")


def require_columns(found: Collection[str], place: str) -> None:
    """Reject missing columns, and name them all and those that there are."""
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        there = f" (the columns are {listed(found)})" if found else ""
        raise malformed(place, f"missing columns {', '.join(missing)}{there}")


def records(file: DataFile) -> Iterable[Record]:
    """The rows of the table in any of its three encodings."""
    start = head(file.path)
    if start.startswith(PARQUET_MAGIC):
        return parquet_records(file)
    return file.json_lines() if start.startswith("{") else csv_records(file)


def csv_records(file: DataFile) -> Iterator[Record]:
    """The rows of a CSV file with a header; its columns may also be parted by semicolons or tabs.

    Raises:
        DatasetError: a row is longer or shorter than the header, or wrongly quoted.
    """
    text = file.text()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        if any(header):
            require_columns(header, file.line(1))
        for row in rows:
            place = file.line(rows.line_num)
            if row and len(row) != len(header):
                raise malformed(place, f"{len(row)} columns instead of {len(header)}")
            if row:
                yield Record(dict(zip(header, row, strict=True)), place)
    except csv.Error as error:
        raise malformed(file.line(rows.line_num), f"not CSV ({error})") from error


def _delimiter(text: str) -> str:
    """The mark that parts the header into the most known columns."""
    header = text.partition("\n")[0].replace('"', "")
    parts = {mark: {name.strip() for name in header.split(mark)} for mark in ",;\t"}
    return max(parts, key=lambda mark: len(parts[mark].intersection(COLUMNS)))


def parquet_records(file: DataFile) -> Iterator[Record]:
    """The rows of a Parquet file; the first is row 1.

    Raises:
        DatasetError: the file is damaged.
    """
    # Deferred: pyarrow takes 0.1 s to import, and other formats do not need it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file.path)
        columns = [name for name in table.schema_arrow.names if name in {*COLUMNS, LABEL}]
        number = 0
        for batch in table.iter_batches(columns=columns):
            for values in batch.to_pylist():
                number += 1
                yield Record(values, f"{file.name} row {number}")
    except UnicodeDecodeError as error:
        raise malformed(file.name, "a text in the Parquet file is not UTF-8") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise malformed(file.name, "the Parquet file is damaged or incomplete") from error
