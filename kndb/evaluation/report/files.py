"""The files of a report: tables as CSV and JSON, written whole or not at all, and read again.

A table's JSON keeps a key of its inputs, so that it need not be remade while they are the same.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any

from kndb.errors import UsageError
from kndb.evaluation.table import Table

FOLDER = "tables"


def make_folder(folder: Path) -> None:
    """Create the report's folder and its folder of tables, if missing.

    Raises:
        UsageError: a file is in the way, or the folder cannot be made.
    """
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file" if folder.is_file() else f"cannot be made: {error.strerror}"
        raise UsageError(f"The folder {folder} {why}; give another one for the report.") from error


def write_text(path: Path, text: str) -> None:
    """Write a temporary file, then rename it.

    Raises:
        UsageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)


def write_table(folder: Path, table: Table, key: str | None) -> None:
    """Write ``tables/NAME.csv`` and ``tables/NAME.json``; without columns, the latter alone.

    Args:
        folder: the report's.
        table: the table.
        key: a key of its inputs; None if it must always be remade.

    Raises:
        UsageError: a file cannot be written.
    """
    place = folder / FOLDER
    if table.columns:
        write_text(place / f"{table.name}.csv", as_csv(table))
    else:
        (place / f"{table.name}.csv").unlink(missing_ok=True)
    write_text(place / f"{table.name}.json", as_json(table, key))


def as_csv(table: Table) -> str:
    """The table with a line of names; what is not there is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([plain(value) for value in row] for row in table.rows)
    return file.getvalue()


def as_json(table: Table, key: str | None) -> str:
    """Name, title, settings, notes, columns, and the rows as objects; what is not there is null."""
    rows = [
        {name: plain(value) for name, value in zip(table.columns, row, strict=True)}
        for row in table.rows
    ]
    found = {
        "name": table.name,
        "title": table.title,
        "key": key,
        "settings": plain(table.settings),
        "notes": list(table.notes),
        "columns": list(table.columns),
        "rows": rows,
    }
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def read_table(folder: Path, name: str, key: str) -> Table | None:
    """The table that was made from the same; None where there is none, or it cannot be read."""
    try:
        found = json.loads((folder / FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        if found["key"] != key:
            return None
        rows = [tuple(row[column] for column in found["columns"]) for row in found["rows"]]
        settings, notes = dict(found["settings"]), tuple(found["notes"])
        return Table(name, found["title"], tuple(found["columns"]), rows, settings, notes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def plain(value: Any) -> Any:
    """A value as JSON knows it: not-a-number is nothing, numbers of NumPy are Python's."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
