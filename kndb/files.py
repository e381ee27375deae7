"""Writes files completely or not at all, chooses their format, and notices changed ones.

Knows no rows.

A file is written under a temporary name in the same folder and then renamed, so readers see either
the old file or the new one. Only ordinary files are replaced: pipes, devices and open files such as
``/dev/stdout`` and ``/dev/fd/3`` are written into.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar, cast

from kndb.errors import KndbError, UsageError

Format = TypeVar("Format", bound=str)

_PART = ".part"


def chosen_format(file: Path, asked: str | None, endings: Mapping[str, Format]) -> Format:
    """The requested format, or the one given by the file's suffix.

    >>> chosen_format(Path("a.ndjson"), None, {".csv": "csv", ".ndjson": "jsonl"})
    'jsonl'

    Args:
        file: the file to write.
        asked: a format by name; None to go by the suffix.
        endings: format by suffix.

    Raises:
        UsageError: the format or suffix is unknown, the two contradict each other, or the file is
            a folder.
    """
    if file.is_dir():
        raise UsageError(f"{file} is a folder; give the name of a file.")
    by_name = {format: format for format in endings.values()}
    ending = endings.get(file.suffix.lower())
    if asked is None:
        if ending is None:
            raise UsageError(
                f"The name {file.name!r} does not say a format; end it in {_listed(endings)}, "
                "or give the format."
            )
        return ending
    if asked not in by_name:
        raise UsageError(f"There is no format {asked!r}; choose from {_listed(by_name)}.")
    if ending not in (None, asked):
        raise UsageError(
            f"The name {file.name!r} says {ending}, but the requested format is {asked}; "
            "change one of the two."
        )
    return by_name[asked]


def _listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    >>> _listed("abc")
    'a, b or c'
    """
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A stream to write to; ``path`` gets the contents when the block ends without an error.

    An ordinary file is replaced as a whole, and unchanged if the block fails. Links are followed.
    Pipes, devices and open files (``/dev/stdout``) are written into.

    Raises:
        UsageError: ``path`` is a folder or a database, or its folder does not exist.
        KndbError: the file cannot be written.
    """
    path = Path(path)
    try:
        with _into(path) if _is_special(path) else _beside(path) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        if not _is_about(path, error):
            raise
        reason = error.strerror or error
        raise KndbError(f"{path} cannot be written: {reason}; give another file.") from error


def _is_about(path: Path, error: OSError) -> bool:
    """Whether the error concerns ``path``, and not another file that the block uses."""
    named = error.filename
    return named is None or str(named) == str(path) or str(named).endswith(_PART)


@contextmanager
def text_of(stream: BinaryIO) -> Iterator[TextIO]:
    """The stream as UTF-8 text, for the duration of a block; undecodable bytes become escapes."""
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        yield text
    finally:
        text.detach()  # flushes, and leaves the stream open


class Pipe(io.RawIOBase):
    """Writes into a stream that cannot seek, and counts the bytes.

    Parquet writers need to know their position, which a pipe does not have.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: Any) -> int:
        """Write all of ``data`` and return the number of bytes."""
        with memoryview(data) as view:
            self._stream.write(view)
            self._written += view.nbytes
            return view.nbytes

    def tell(self) -> int:
        """The number of bytes written."""
        return self._written

    def flush(self) -> None:
        """Flush the stream."""
        if not self.closed:
            self._stream.flush()


def _is_special(path: Path) -> bool:
    """Whether it exists and is neither a folder nor an ordinary file, or is an open file."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _descriptor(path: Path) -> int | None:
    """The descriptor behind ``/dev/stdout``, ``/dev/fd/3`` or a link to one of them."""
    place = os.path.abspath(path)
    for _ in range(40):  # as many links as the system follows
        folder, name = os.path.split(place)
        if name.isdecimal() and os.path.realpath(folder) == os.path.realpath("/dev/fd"):
            return int(name)
        try:
            place = os.path.join(folder, os.readlink(place))
        except OSError:  # not a link
            return None
    return None


@contextmanager
def _into(path: Path) -> Iterator[BinaryIO]:
    number = _descriptor(path)
    # Duplicated, to continue at its position: opening the path would start at the beginning.
    opened = os.open(path, os.O_WRONLY) if number is None else os.dup(number)
    with os.fdopen(opened, "wb") as stream, Pipe(stream) as pipe:
        yield cast(BinaryIO, pipe)


@contextmanager
def _beside(path: Path) -> Iterator[BinaryIO]:
    """A temporary file that replaces ``path`` when the block ends without an error."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}; make it, or give another path.")
    if is_database(target):
        raise UsageError(f"{path} is a database; give another file.")
    part = target.with_name(f".kndb-{os.urandom(8).hex()}{_PART}")
    try:
        with part.open("xb") as stream:
            if target.exists():
                shutil.copymode(target, part)
            yield stream
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def is_database(path: Path) -> bool:
    """Whether it is a DuckDB file: the checksum of 8 bytes is followed by DUCK."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int, int]]:
    """What changes when files are written or replaced: inode, size and time; nothing if missing.

    Equal before and after reading, they show that the files stayed as they were.
    """
    found = {}
    for file in files:
        with suppress(OSError):
            known = file.stat()
            found[file] = known.st_ino, known.st_size, known.st_mtime_ns
    return found
