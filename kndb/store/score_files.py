"""Lets DuckDB read the parts of scores, and no other file, by names that are no paths.

A reader's sandbox has no access to files. DuckDB may ask this object for the parts that lie in the
folder beside the database, to read and not to write; a query's process, which can open no file,
has them open before (``hold``).

fsspec (0.05 s) is imported only where there are parts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from kndb.store.score_folder import SCHEME


class _Opened:
    """An open file, which several handles may share."""

    def __init__(self, file: Path) -> None:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(file, flags)
        self._lock = threading.Lock()
        known = os.fstat(self._descriptor)
        self.size = known.st_size
        self.modified = datetime.fromtimestamp(known.st_mtime, UTC)

    def read(self, size: int, at: int) -> bytes:
        with self._lock:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            return os.read(self._descriptor, size)

    def __del__(self) -> None:
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)


class _Handle:
    """What DuckDB reads from. Each thread has a position of its own."""

    def __init__(self, opened: _Opened) -> None:
        self._opened = opened
        self._position = threading.local()

    def tell(self) -> int:
        return int(getattr(self._position, "at", 0))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._opened.size}[whence]
        self._position.at = start + offset
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        at = self.tell()
        found = self._opened.read(self._opened.size - at if size < 0 else size, at)
        self._position.at = at + len(found)
        return found

    def close(self) -> None:
        """Nothing: the file is closed when no handle is left."""


class PartFiles(AbstractFileSystem):  # type: ignore[misc]  # it has no types
    """The parts by their names, as a read-only file system of fsspec.

    Args:
        files: the parts' files by their names in SQL.
        hold: open all of them now, but those that are gone or forbidden.

    Raises:
        OSError: they are more than a process may have open.
    """

    protocol = SCHEME
    cachable = False

    def __init__(self, files: Mapping[str, Path], *, hold: bool = False) -> None:
        super().__init__()
        self._files = dict(files)
        self._held: dict[str, _Opened] = {}
        for name, file in self._files.items() if hold else ():
            with suppress(FileNotFoundError, PermissionError):  # told to who asks for it
                self._held[name] = _Opened(file)

    def open(self, path: str, mode: str = "rb", **_: Any) -> _Handle:
        """A handle to read from.

        Raises:
            PermissionError: it is to be written, or is none of the parts.
        """
        if mode != "rb":
            raise PermissionError(f"{path} can only be read.")
        return _Handle(self._part(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Its size."""
        return {"name": path, "size": self._part(path).size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """When it was written."""
        return self._part(path).modified

    def glob(self, path: str, **_: Any) -> list[str]:
        """The part of this name; patterns match nothing."""
        return [path] if path in self._files else []

    def exists(self, path: str, **_: Any) -> bool:
        """Whether it is one of the parts."""
        return path in self._files

    def _part(self, path: str) -> _Opened:
        if path not in self._files:
            raise PermissionError(f"{path} is no part of this database.")
        return self._held.get(path) or _Opened(self._files[path])
