"""Copies a database while others read it. Nothing is written into the original."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import duckdb

from kndb.errors import KndbError, UsageError
from kndb.store.database import connect_as_it_is, database_error


def backup(path: str | Path, target: str | Path, *, wait: float = 10.0) -> int:
    """Copy the database at ``path`` to a new file, at its revision, and return its bytes.

    A reader's lock keeps writers out, so that all of the copy is of one moment. What a killed
    writer left in its log (``.wal``) is in the copy.

    Raises:
        DatabaseError: the database cannot be opened, or is being written for too long.
        UsageError: there is a file of that name, or no such folder.
        KndbError: the copy cannot be written.
    """
    path, target = Path(path), Path(target)
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists already; give the name of a new file.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}; make it, or give another path.")
    try:
        with (
            connect_as_it_is(path, wait=wait),
            tempfile.TemporaryDirectory(prefix=".kndb-", dir=target.parent) as folder,
        ):
            copy = Path(folder, "copy.duckdb")
            for end in ("", ".wal"):
                if (file := path.with_name(path.name + end)).exists():
                    shutil.copyfile(file, copy.with_name(copy.name + end))
            with duckdb.connect(str(copy)) as connection:
                connection.execute("CHECKPOINT")
            copy.rename(target)
    except duckdb.Error as error:
        raise database_error(target, error) from error
    except OSError as error:
        reason = error.strerror or error
        raise KndbError(f"{target} cannot be written: {reason}; give another file.") from error
    return target.stat().st_size
