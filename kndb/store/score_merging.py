"""Takes another database's parts of scores, those of prompts that are new. Opens no database."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import duckdb

from kndb.store.score_folder import Part, scores_folder
from kndb.store.score_parts import (
    insert_part,
    prompts_in,
    scores_in,
    shape_of,
    write_error,
    write_part,
)

_PARTS = "SELECT run_id, part_id, n_prompts, n_bytes FROM source.score_part ORDER BY ALL"
_OLD = "SELECT prompt_id FROM prediction WHERE run_id = ?"


def take_parts(connection: duckdb.DuckDBPyConnection, path: Path, target: Path) -> int:
    """Copy the parts whose prompts are new, and of others the new prompts. Prompts come after it.

    Args:
        connection: to the target, in a transaction, with the other database as ``source``.
        path: the other database.
        target: the target.

    Returns:
        The number of parts.

    Raises:
        KndbError: a part is missing, or cannot be written.
    """
    parts = [Part(*row) for row in connection.execute(_PARTS).fetchall()]
    taken = [_taken(connection, path, target, part) for part in parts]
    for part in filter(None, taken):
        insert_part(connection, part)
    return len(taken) - taken.count(None)


def _taken(
    connection: duckdb.DuckDBPyConnection, path: Path, target: Path, part: Part
) -> Part | None:
    """A part as it is in the target now; None if it has nothing new."""
    import numpy as np

    shape = shape_of(connection, part.run_id, "source")
    prompts = prompts_in(path, part, shape)
    old = connection.execute(_OLD, [part.run_id]).fetchall()
    new = ~np.isin(prompts, [key for (key,) in old])
    if new.all():
        return _copied(path, target, part)
    if not new.any():
        return None
    scores = scores_in(path, part, shape)
    return write_part(target, part.run_id, prompts[new], scores[:, new])


def _copied(path: Path, target: Path, part: Part) -> Part:
    source, file = scores_folder(path) / part.file, scores_folder(target) / part.file
    fresh = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as old, fresh.open("wb") as stream:
            shutil.copyfileobj(old, stream, 2**20)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except OSError as error:
        with suppress(OSError):  # the folder may be what is wrong
            fresh.unlink()
        raise write_error(file, error) from error
    return part
