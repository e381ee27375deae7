"""Values and rows as plain data, for JSON and CSV. Writes to streams, opens no files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, time
from decimal import Decimal
from itertools import chain, count
from numbers import Integral
from typing import Any, TextIO, TypeGuard

Row = Sequence[Any]


def is_text(text: str) -> bool:
    r"""Whether UTF-8 can hold it; undecodable bytes of arguments and half surrogate pairs fail.

    >>> is_text("Bénin"), is_text("\udcff")
    (True, False)
    """
    return not any("\ud800" <= character <= "\udfff" for character in text)


def counted(n: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "fact"), counted(1200, "run")
    ('1 fact', '1,200 runs')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, NumPy's included; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """A value of the database as JSON data: not-a-number is null, bytes are hexadecimal.

    >>> plain({"p": float("nan"), "at": date(2026, 11, 23), "ids": (1, 2)})
    {'p': None, 'at': '2026-11-23', 'ids': [1, 2]}
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes() | bytearray():
            return value.hex()
        case date() | time():
            return value.isoformat()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return str(value)


def json_objects(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Each row as a JSON object on one line. Ids are text: jq and JavaScript round large numbers.

    >>> list(json_objects(["run_id", "p"], [(9074349520883844244, 0.5)]))
    ['{"run_id": "9074349520883844244", "p": 0.5}']
    """
    names = unique(columns)
    for row in rows:
        values = {name: _exact(name, plain(value)) for name, value in zip(names, row, strict=True)}
        yield json.dumps(values, ensure_ascii=False)


def _exact(name: str, value: Any) -> Any:
    """An id, and any other number that a 64-bit float cannot hold, as text."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number and (name.endswith("_id") or abs(value) > 2**53) else value


def write_csv(columns: Sequence[str], rows: Iterable[Row], stream: TextIO) -> None:
    """A header line, numbers in full, an empty field for NULL, JSON where lists are."""
    write_row = csv_lines(stream)
    write_row(columns)
    for row in rows:
        write_row([_field(value) for value in row])


def csv_lines(stream: TextIO) -> Callable[[Row], None]:
    """A function that writes one row. Python's writer leaves a carriage return unquoted."""
    plainly = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write_row(row: Row) -> None:
        has_return = any(isinstance(value, str) and "\r" in value for value in row)
        (quoted if has_return else plainly).writerow(row)

    return write_row


def _field(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def write_jsonl(objects: Iterable[str], stream: TextIO) -> None:
    """One JSON object to a line."""
    for line in objects:
        stream.write(line + "\n")


def write_json(objects: Iterable[str], stream: TextIO) -> None:
    """One JSON array, with one object to a line."""
    stream.write("[")
    for number, line in enumerate(objects):
        stream.write((",\n " if number else "\n ") + line)
    stream.write("\n]\n")


def write_summarised(summary: str, objects: Iterable[str], stream: TextIO) -> None:
    """One JSON object: a summary, itself an object, and rows as by :func:`write_json`."""
    stream.write(f'{{"summary": {summary},\n"rows": ')
    write_json(objects, stream)
    stream.write("}\n")


def unique(names: Sequence[str]) -> list[str]:
    """Distinct column names for an object: a repeated name gets a number.

    >>> unique(["n", "n", "m"])
    ['n', 'n_2', 'm']
    """
    found: dict[str, None] = {}
    for name in names:
        tries = chain([name], (f"{name}_{number}" for number in count(2)))
        found[next(each for each in tries if each not in found)] = None
    return list(found)
