"""Where the score of every neuron lies: Parquet parts in a folder beside the database. Reads none.

``demo.duckdb`` has ``demo.duckdb.scores/RUN_ID/part-PART_ID.parquet``. No path is stored, so both
can be moved together. Which parts count is in the table ``score_part``; a file that is not listed
there was left by a process that was killed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kndb.errors import KndbError

SCHEME = "kndb"
"""Parts have names such as ``kndb://RUN_ID/part-PART_ID.parquet`` in SQL, and no other path."""

_ENDING = ".scores"

_RUN = re.compile(r"[0-9]+")
_PART = re.compile(r"part-[0-9]+\.parquet")


class Part(NamedTuple):
    """A row of the table ``score_part``.

    Attributes:
        run_id: the run.
        part_id: hash of its prompts' ids.
        n_prompts: number of its prompts.
        n_bytes: size of its file.
    """

    run_id: int
    part_id: int
    n_prompts: int
    n_bytes: int

    @property
    def file(self) -> str:
        """Its file, below the folder.

        >>> Part(7, 12, 1, 100).file
        '7/part-12.parquet'
        """
        return f"{self.run_id}/part-{self.part_id}.parquet"

    @property
    def name(self) -> str:
        """Its name in SQL."""
        return f"{SCHEME}://{self.file}"


def scores_folder(path: str | Path) -> Path:
    """The folder of a database's parts, whether there is one or not."""
    place = Path(os.path.realpath(path))
    return place.with_name(place.name + _ENDING)


def part_files(path: str | Path) -> dict[str, Path]:
    """The files in the folder by their names in SQL.

    A link is not taken: it may lead elsewhere. Nor is a file of another name, which need not be
    text.
    """
    folder, found = scores_folder(path), {}
    with suppress(OSError):
        for run in os.scandir(folder):
            if not _RUN.fullmatch(run.name) or not run.is_dir(follow_symlinks=False):
                continue
            for entry in os.scandir(run):
                if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    found[f"{SCHEME}://{run.name}/{entry.name}"] = Path(entry)
    return found


def is_whole(part: Part, files: Mapping[str, Path]) -> bool:
    """Whether a part's file is there, with the size that it should have."""
    try:
        return files[part.name].stat().st_size == part.n_bytes
    except (KeyError, OSError):
        return False


def size_of_run(path: str | Path, run_id: int) -> int:
    """Bytes of a run's files."""
    start = f"{SCHEME}://{run_id}/"
    return sum(
        file.stat().st_size for name, file in part_files(path).items() if name.startswith(start)
    )


def remove_run(path: str | Path, run_id: int) -> None:
    """Remove a run's files, so far as that can be done, and the folders if they are empty then.

    Nothing else: the folder may be a link that a stranger made.
    """
    sweep(path, run_id, ())
    folder = scores_folder(path)
    with suppress(OSError):
        (folder / str(run_id)).rmdir()
        folder.rmdir()


def sweep(path: str | Path, run_id: int, listed: Container[str]) -> None:
    """Remove a run's files but those in ``listed``, given below the folder.

    A killed process left them. Call it in a transaction: no other process writes then.
    """
    folder = scores_folder(path)
    for file in (folder / str(run_id)).glob("part-*"):
        if f"{run_id}/{file.name}" not in listed:
            with suppress(OSError):
                file.unlink()


def check_whole(parts: Collection[Part], files: Mapping[str, Path], what: str) -> None:
    """Refuse to go on without a part.

    Args:
        parts: those that a database lists.
        files: those that are there.
        what: what cannot be done, to begin the sentence with.

    Raises:
        KndbError: a file is missing, or has another size than it should.
    """
    counted = Counter(part.run_id for part in parts)
    missing = Counter(part.run_id for part in parts if not is_whole(part, files))
    for run_id, n in missing.items():
        raise KndbError(f"{what}: {missing_sentence(run_id, n, counted[run_id])}")


def damaged_sentence(error: BaseException) -> str | None:
    """What to say of an error of DuckDB about a part that it cannot read; None of other errors.

    >>> damaged_sentence(ValueError('Failed to read file "kndb://7/part-12.parquet": no'))
    'The part of scores 7/part-12.parquet is damaged; copy it again, or take it from a backup.'
    """
    if "TProtocolException" in str(error):  # a page's header
        return "A part of scores is damaged; `kndb db check` says which."
    found = re.search(rf'file "{SCHEME}://([0-9]+/part-[0-9]+\.parquet)"', str(error))
    return damaged(found[1]) if found else None


def damaged(part: object) -> str:
    """What to say of a damaged part, which is named by its file."""
    return f"The part of scores {part} is damaged; copy it again, or take it from a backup."


def missing_sentence(run_id: int, n_missing: int, n_parts: int) -> str:
    """What to say where a run's files are not beside the database."""
    return (
        f"{n_missing:,} of the {n_parts:,} parts with the scores of run {run_id} are missing or "
        "damaged; put the folder that ends in .scores beside the database, under the database's "
        "name."
    )
