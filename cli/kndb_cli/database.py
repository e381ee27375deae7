"""Opens a database for commands that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kndb
from kndb_cli.hiding import hidden


@contextmanager
def opened(path: Path) -> Iterator[kndb.Database]:
    """The database, for the block.

    Raises:
        DatabaseError: it cannot be opened.
    """
    # DuckDB imports pandas with the first parameter of a query, which takes longer (0.3 s) than
    # everything else.
    with hidden("pandas"), kndb.open(path) as database:
        yield database
