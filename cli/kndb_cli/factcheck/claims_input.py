"""Reads claims from a file or standard input, one at a time, with what stands beside them.

A file is plain lines, JSONL (objects with ``claim``, or strings) or CSV with a column ``claim``,
which may also be parted by semicolons or tabs: its suffix decides; for standard input and other
suffixes, the first line. Blank lines are skipped. The other columns of the first line, or of a
CSV's header, are kept.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from kndb.errors import UsageError, listed
from kndb.plain import is_text
from kndb_cli.output.terminal import note

COLUMN = "claim"

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}

Line = tuple[str, tuple[Any, ...]]
"""A claim, and the values of the other columns."""


@dataclass
class Claims:
    """Claims, and what their source says of each.

    Attributes:
        columns: the names of the other columns.
        lines: the claims, read once and lazily.
    """

    columns: tuple[str, ...] = ()
    lines: Iterator[Line] = field(default_factory=lambda: iter(()))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Claims:
        """Claims without other columns."""
        return cls((), ((text, ()) for text in texts))


@contextmanager
def opened(path: Path) -> Iterator[Claims]:
    """The claims in a file; ``-`` is standard input.

    Raises:
        UsageError: the file cannot be read, is not UTF-8, or has a malformed line.
    """
    if str(path) == "-":
        yield _named(sys.stdin, None, "standard input")
        return
    try:
        stream = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UsageError(f"The file {path} cannot be read: {error.strerror}.") from error
    with stream:
        yield _named(stream, _SUFFIXES.get(path.suffix.lower()), str(path))


def _named(stream: TextIO, form: str | None, name: str) -> Claims:
    """The claims in a stream; errors name the file."""
    with _naming(name):
        claims = claims_in(stream, form)
    return Claims(claims.columns, _checked(claims.lines, name))


def _checked(lines: Iterator[Line], name: str) -> Iterator[Line]:
    with _naming(name):
        for claim, others in lines:
            # Standard input lets undecodable bytes through in some locales.
            if not all(is_text(value) for value in (claim, *others) if isinstance(value, str)):
                raise UsageError(f"{name} is not UTF-8 text; convert it.")
            yield claim, others


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text; convert it.") from error
    except _Malformed as error:
        raise UsageError(f"{name}: {error}") from error


class _Malformed(Exception):
    """A line is malformed."""


def claims_in(stream: TextIO, form: str | None) -> Claims:
    """The claims in a stream, read lazily.

    >>> import io
    >>> claims = claims_in(io.StringIO("claim,id\\nIt rains.,7\\n"), None)
    >>> claims.columns, list(claims.lines)
    (('id',), [('It rains.', ('7',))])
    """
    lines = (line for line in stream if line.strip())
    first = next(lines, None)
    if first is None:
        return Claims()
    first = first.removeprefix("\ufeff")  # standard input may begin as a file from Windows does
    every = chain([first], lines)
    match form or _form_of(first):
        case "jsonl":
            return _of_jsonl(every)
        case "csv":
            return _of_csv(every, _mark(first) or ",")
        case _:
            return Claims.of(line.strip() for line in every)


def _form_of(first: str) -> str:
    if _mark(first):
        return "csv"
    start = first.strip()
    if start.startswith(('{"', "{ ", '"')) and start.endswith(("}", '"')):
        return "jsonl"
    return "lines"


def _mark(header: str) -> str | None:
    """The mark that parts a CSV's header into columns, one of which has the claims.

    >>> _mark('id;"Claim"'), _mark("I claim, it rains.")
    (';', None)
    """
    for mark in ",;\t":
        if COLUMN in (name.strip(' "\r\n').lower() for name in header.split(mark)):
            return mark
    return None


def _of_jsonl(lines: Iterable[str]) -> Claims:
    values = _json_lines(lines)
    claim, first = next(values)
    columns = tuple(first)
    return Claims(columns, _aligned(chain([(claim, first)], values), columns))


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # also too long a number, too deep a list
            raise _Malformed(f"line {number} is not JSON.") from error
        others = dict(value) if isinstance(value, dict) else {COLUMN: value}
        claim = others.pop(COLUMN, None)
        if not isinstance(claim, str):
            raise _Malformed(f'line {number} has no "{COLUMN}"{_found(others)}.')
        yield claim, others


def _aligned(
    values: Iterable[tuple[str, dict[str, Any]]], columns: tuple[str, ...]
) -> Iterator[Line]:
    """The values of the first line's columns; what only later lines have is left out."""
    left_out: set[str] = set()
    for claim, others in values:
        for name in others.keys() - set(columns) - left_out:
            left_out.add(name)
            note(f"{name!r} is left out of the output: the first line does not have it.")
        yield claim, tuple(others.get(name) for name in columns)


def _of_csv(lines: Iterable[str], mark: str) -> Claims:
    rows = csv.reader(lines, delimiter=mark, strict=True)
    with _csv_errors(rows):
        header = [name.strip() for name in next(rows)]
    lowered = [name.lower() for name in header]
    if COLUMN not in lowered:
        raise _Malformed(
            f"there is no column {COLUMN!r}{_found(header)}; rename the column that has the claims."
        )
    at = lowered.index(COLUMN)
    return Claims((*header[:at], *header[at + 1 :]), _csv_rows(rows, at, len(header)))


def _csv_rows(rows: Any, at: int, width: int) -> Iterator[Line]:
    with _csv_errors(rows):
        for number, row in enumerate(rows, 2):
            if len(row) <= at:
                raise _Malformed(f"row {number} has no column {COLUMN!r}.")
            whole = (*row, *[None] * (width - len(row)))[:width]
            yield row[at], (*whole[:at], *whole[at + 1 :])


@contextmanager
def _csv_errors(rows: Any) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise _Malformed(f"line {rows.line_num} is not CSV ({error}).") from error


def _found(names: Iterable[str]) -> str:
    found = listed(names)
    return f" among {found}" if found else ""
