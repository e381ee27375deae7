"""Data files and their records, with messages that name the file and the line.

Every text comes out stripped at both ends and without a byte order mark. What a record means is
the readers' business.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kndb.errors import DatasetError

HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Record:
    """One row, line or entry of a data file. ``place`` says where it stands, for messages."""

    values: Mapping[str, object]
    place: str

    def text(self, key: str) -> str:
        """The text under ``key``; a null is the empty text.

        Raises:
            DatasetError: the key is missing, or holds something else than text.
        """
        if key not in self.values:
            raise malformed(self.place, f"{key!r} is missing")
        return self.checked(key, self.values[key])

    def identifier(self, key: str) -> str:
        """The text under ``key``, which must not be empty."""
        text = self.text(key)
        if not text:
            raise malformed(self.place, f"{key!r} is empty")
        return text

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts under ``key``, in its order."""
        values = self.values.get(key)
        if not isinstance(values, list):
            raise malformed(self.place, f"{key!r} is not a list of texts")
        return tuple(self.checked(key, value) for value in values)

    def record(self, key: str) -> Record:
        """The record under ``key``."""
        return as_record(self.values.get(key), f"{self.place}, {key!r}")

    def checked(self, key: str, value: object) -> str:
        """The value as stripped text."""
        if value is None:
            return ""
        if not isinstance(value, str):
            raise malformed(self.place, f"{key!r} is {value!r:.40}, not a text")
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair, from a "\ud800" in JSON
            raise malformed(self.place, f"{key!r} is not valid Unicode") from error
        return value.strip()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a data set. ``name`` is its path within the data set, as messages give it."""

    path: Path
    name: str

    @classmethod
    def of(cls, root: Path, path: Path) -> DataFile:
        """The file at ``path`` of the data set at ``root``, which may be the file itself."""
        return cls(path, path.name if path == root else path.relative_to(root).as_posix())

    def line(self, number: int) -> str:
        """Where a line stands, for messages; the first is 1."""
        return f"{self.name} line {number}"

    def text(self) -> str:
        """The whole file as text.

        Raises:
            DatasetError: it cannot be read, or is not UTF-8.
        """
        with reading(self.name):
            data = self.path.read_bytes()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise malformed(self.line(line), "the text is not UTF-8") from error

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines that hold something, with their numbers."""
        for number, line in enumerate(self.text().split("\n"), start=1):
            if line.strip():
                yield number, line

    def json_lines(self) -> Iterator[Record]:
        """The records of a JSON Lines file.

        Raises:
            DatasetError: a line is not a JSON object.
        """
        for number, line in self.lines():
            yield as_record(parse_json(line, self, number), self.line(number))

    def json(self) -> object:
        """The one JSON value of the file.

        Raises:
            DatasetError: the file is not JSON.
        """
        return parse_json(self.text(), self, 1)


def malformed(place: str, problem: str) -> DatasetError:
    """The error for data that is not as its form demands."""
    return DatasetError(f"{place}: {problem}; correct the file and read the data set again.")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Tell of a file that cannot be read, a DatasetError in place of an OSError."""
    try:
        yield
    except OSError as error:
        raise malformed(name, f"it cannot be read ({error.strerror})") from error


def parse_json(text: str, file: DataFile, line: int) -> object:
    """The JSON value of ``text``, which starts at the given line of the file."""
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        place = file.line(line + error.lineno - 1)
        raise malformed(place, f"not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # a number too long, a nesting too deep
        raise malformed(file.line(line), "not JSON that can be read") from error
    return value


def as_record(value: object, place: str) -> Record:
    """The JSON object as a record."""
    if not isinstance(value, dict):
        raise malformed(place, "not a JSON object")
    return Record(value, place)


def head(path: Path) -> str:
    """The start of a file as text, for recognising its form; empty for what is no file."""
    if not path.is_file():
        return ""
    with reading(path.name), path.open("rb") as file:
        return file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace").lstrip()


def file_lang(path: Path) -> str | None:
    """The language that names a file: ``zh.json`` is Chinese, ``facts.json`` says nothing.

    For forms whose records do not say their language. Two letters, with or without a subtag,
    are taken for a language.
    """
    return path.stem if re.fullmatch(r"[a-z]{2}(-[A-Za-z]+)?", path.stem) else None


def fingerprint(root: Path, paths: Iterable[Path]) -> str:
    """The SHA-256 of the files' contents and of their places within the data set, as hex.

    The name of a data set that is a single file is not part of it, nor is where the data lie.
    """
    total = hashlib.sha256()
    names = {path.relative_to(root).as_posix(): path for path in paths}
    for name in sorted(names):
        total.update(f"{name}\0{file_digest(DataFile.of(root, names[name]))}\n".encode())
    return total.hexdigest()


def file_digest(file: DataFile) -> str:
    """The SHA-256 of one file's contents, as hex."""
    with reading(file.name), file.path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
