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
    # For each parameter of a query DuckDB tries to import pandas. Where it is hidden, that takes a
    # third of the time that ``not_imported`` needs.
    with hidden("pandas"), kndb.open(path) as database:
        yield database
