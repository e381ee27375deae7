"""Copies a database while others read it. Nothing is written into the original."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from kndb.errors import KndbError, UsageError
from kndb.store.database import check_name, connect_as_it_is, database_error
from kndb.store.score_folder import Part, check_whole, part_files, scores_folder
from kndb.store.score_view import parts_of


def backup(path: str | Path, target: str | Path, *, wait: float = 10.0) -> int:
    """Copy the database at ``path`` to a new file, at its revision, and return the copy's bytes.

    A reader's lock keeps writers out, so that all of the copy is of one moment. What a killed
    writer left in its log (``.wal``) is in the copy. The folder with every score, where there is
    one, is copied beside the new file.

    Raises:
        DatabaseError: the database cannot be opened, or is being written for too long; or the
            copy's name is not UTF-8 text.
        UsageError: there is a file or a folder of scores of that name, or no folder for it.
        KndbError: the copy cannot be written, or files with scores are missing.
    """
    path, target = Path(path), Path(target)
    check_name(target)
    for new in (target, scores_folder(target)):
        if new.exists() or new.is_symlink():
            raise UsageError(f"{new} exists already; give the name of a new file.")
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
                parts = _parts(connection)
            size = copy.stat().st_size + _copy_scores(path, copy, parts)
            if (scores := scores_folder(copy)).exists():
                scores.rename(scores_folder(target))
            copy.rename(target)
    except duckdb.Error as error:
        raise database_error(target, error) from error
    except OSError as error:
        reason = error.strerror or error
        raise KndbError(f"{target} cannot be written: {reason}; give another file.") from error
    return size


def _parts(connection: duckdb.DuckDBPyConnection) -> list[Part]:
    try:
        return parts_of(connection)
    except duckdb.CatalogException:  # a database from before there were any
        return []


def _copy_scores(path: Path, copy: Path, parts: Sequence[Part]) -> int:
    """Copy the parts of scores, and return their bytes."""
    files = part_files(path)
    check_whole(parts, files, f"{path} cannot be copied as a whole")
    for part in parts:
        target = scores_folder(copy) / part.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[part.name], target)
    return sum(part.n_bytes for part in parts)
