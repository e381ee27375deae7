"""Data files and their records, with errors that name the file and the line.

Strings are stripped at both ends and have no byte order mark. Interpreting records is left to the
readers.
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
from kndb.plain import is_text

HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Record:
    """One row, line or entry of a data file. ``place`` is its location, for messages."""

    values: Mapping[str, object]
    place: str

    def text(self, key: str) -> str:
        """The string under ``key``; null becomes the empty string.

        Raises:
            DatasetError: the key is missing, or its value is not a string.
        """
        if key not in self.values:
            raise malformed(self.place, f"{key!r} is missing")
        return self.checked(key, self.values[key])

    def identifier(self, key: str) -> str:
        """The string under ``key``, which must not be empty."""
        text = self.text(key)
        if not text:
            raise malformed(self.place, f"{key!r} is empty")
        return text

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings in the list under ``key``, in order."""
        values = self.values.get(key)
        if not isinstance(values, list):
            raise malformed(self.place, f"{key!r} is not a list of strings")
        return tuple(self.checked(key, value) for value in values)

    def record(self, key: str) -> Record:
        """The record under ``key``."""
        return as_record(self.values.get(key), f"{self.place}, {key!r}")

    def checked(self, key: str, value: object) -> str:
        """The value as a stripped string."""
        if value is None:
            return ""
        if not isinstance(value, str):
            raise malformed(self.place, f"{key!r} is {value!r:.40}, not a string")
        return valid(value, self.place, repr(key)).strip()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a data set. ``name`` is its path within the data set, for messages."""

    path: Path
    name: str

    @classmethod
    def of(cls, root: Path, path: Path) -> DataFile:
        """The file at ``path`` in the data set at ``root``, which may be the file itself."""
        return cls(path, path.name if path == root else path.relative_to(root).as_posix())

    def line(self, number: int) -> str:
        """The location of a line, for messages; the first line is 1."""
        return f"{self.name} line {number}"

    def text(self) -> str:
        """The contents of the file.

        Raises:
            DatasetError: the file cannot be read, or is not UTF-8.
        """
        with reading(self.name):
            data = self.path.read_bytes()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise malformed(self.line(line), "the text is not UTF-8") from error

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines that are not blank, with their numbers."""
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
        """The JSON value that the file consists of.

        Raises:
            DatasetError: the file is not JSON.
        """
        return parse_json(self.text(), self, 1)


def malformed(place: str, problem: str) -> DatasetError:
    """The error for data that violate their format."""
    return DatasetError(f"{place}: {problem}; correct the file and read the data set again.")


def changed(path: Path) -> DatasetError:
    """The error for files that somebody wrote to in the meantime."""
    return DatasetError(
        f"The files of {str(path)!r} changed while they were read; wait until they are complete, "
        "and run the same command again."
    )


def valid(text: str, place: str, what: str) -> str:
    """The text, if UTF-8 can hold it: JSON may have half of a surrogate pair, a name any byte.

    Raises:
        DatasetError: it cannot.
    """
    if not is_text(text):
        raise malformed(place, f"{what} is not valid Unicode")
    return text


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an OSError inside the block into a DatasetError that names the file."""
    try:
        yield
    except OSError as error:
        raise malformed(name, f"it cannot be read ({error.strerror})") from error


def parse_json(text: str, file: DataFile, line: int) -> object:
    """The JSON value in ``text``, which starts at the given line of the file."""
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        place = file.line(line + error.lineno - 1)
        raise malformed(place, f"not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # too long a number, or too deeply nested
        raise malformed(file.line(line), "not JSON that can be parsed") from error
    return value


def as_record(value: object, place: str) -> Record:
    """A JSON object as a record."""
    if not isinstance(value, dict):
        raise malformed(place, "not a JSON object")
    return Record(value, place)


def head(path: Path) -> str:
    """The start of a file as text, for recognising its format; empty if it is not a file."""
    if not path.is_file():
        return ""
    with reading(path.name), path.open("rb") as file:
        return file.read(HEAD_BYTES).decode("utf-8-sig", errors="replace").lstrip()


def file_lang(path: Path) -> str | None:
    """The language in a file's name: ``zh`` for ``zh.json``, None for ``facts.json``.

    This is for formats whose records do not state their language. Two letters, with or without a
    subtag, count as a language.
    """
    return path.stem if re.fullmatch(r"[a-z]{2}(-[A-Za-z]+)?", path.stem) else None


def fingerprint(root: Path, paths: Iterable[Path]) -> str:
    """The SHA-256 of the files' contents and their paths within the data set, as hex.

    It does not depend on where the data set is stored or, for a single file, on the file's name.
    """
    total = hashlib.sha256()
    names = {path.relative_to(root).as_posix(): path for path in paths}
    for name in sorted(names):
        line = f"{name}\0{file_digest(DataFile.of(root, names[name]))}\n"
        total.update(line.encode(errors="surrogateescape"))
    return total.hexdigest()


def file_digest(file: DataFile) -> str:
    """The SHA-256 of one file's contents, as hex."""
    with reading(file.name), file.path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
