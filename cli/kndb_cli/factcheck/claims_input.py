"""Reads claims from a file or standard input, one at a time.

A file is plain lines, JSONL (objects with ``claim``, or strings) or CSV with a column ``claim``:
its suffix decides; for standard input and other suffixes, the first line. Blank lines are
skipped.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TextIO

from kndb.errors import UsageError
from kndb.plain import is_text

COLUMN = "claim"

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


@contextmanager
def opened(path: Path) -> Iterator[Iterator[str]]:
    """The claims in a file; ``-`` is standard input.

    Raises:
        UsageError: the file cannot be read, is not UTF-8, or has a malformed line.
    """
    if str(path) == "-":
        yield _naming(claims_in(sys.stdin, None), "standard input")
        return
    try:
        stream = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise UsageError(f"The file {path} cannot be read: {error.strerror}.") from error
    with stream:
        yield _naming(claims_in(stream, _SUFFIXES.get(path.suffix.lower())), str(path))


def _naming(claims: Iterator[str], name: str) -> Iterator[str]:
    """The same claims; errors name the file."""
    try:
        for claim in claims:
            if not is_text(claim):  # standard input lets undecodable bytes through in some locales
                raise UsageError(f"{name} is not UTF-8 text; convert it.")
            yield claim
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text; convert it.") from error
    except _Malformed as error:
        raise UsageError(f"{name}: {error}") from error


class _Malformed(Exception):
    """A line is malformed."""


def claims_in(stream: TextIO, form: str | None) -> Iterator[str]:
    """The claims in a stream, read lazily.

    >>> import io
    >>> list(claims_in(io.StringIO("claim,id\\nIt rains.,7\\n"), None))
    ['It rains.']
    """
    lines = (line for line in stream if line.strip())
    first = next(lines, None)
    if first is None:
        return
    every = chain([first], lines)
    match form or _form_of(first):
        case "jsonl":
            yield from _of_jsonl(every)
        case "csv":
            yield from _of_csv(every)
        case _:
            yield from (line.strip() for line in every)


def _form_of(first: str) -> str:
    start = first.strip()
    if start.startswith(('{"', "{ ", '"')) and start.endswith(("}", '"')):
        return "jsonl"
    is_header = COLUMN in (name.strip().lower() for name in start.split(","))
    return "csv" if is_header else "lines"


def _of_jsonl(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # also too long a number, too deep a list
            raise _Malformed(f"line {number} is not JSON.") from error
        claim = value.get(COLUMN) if isinstance(value, dict) else value
        if not isinstance(claim, str):
            raise _Malformed(f'line {number} has no "{COLUMN}".')
        yield claim


def _of_csv(lines: Iterable[str]) -> Iterator[str]:
    rows = csv.reader(lines)
    try:
        header = [name.strip().lower() for name in next(rows)]
        if COLUMN not in header:
            raise _Malformed(
                f"there is no column {COLUMN!r}; rename the column that has the claims."
            )
        at = header.index(COLUMN)
        for number, row in enumerate(rows, 2):
            if len(row) <= at:
                raise _Malformed(f"row {number} has no column {COLUMN!r}.")
            yield row[at]
    except csv.Error as error:
        raise _Malformed(f"line {rows.line_num} is not CSV ({error}).") from error
