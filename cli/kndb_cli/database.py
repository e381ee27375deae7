"""Opens a database for commands that only read it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import kndb


@contextmanager
def opened(path: Path) -> Iterator[kndb.Database]:
    """The database, for the block.

    Raises:
        DatabaseError: it cannot be opened.
    """
    with _pandas_unseen(), kndb.open(path) as database:
        yield database


@contextmanager
def _pandas_unseen() -> Iterator[None]:
    """Hide pandas from DuckDB, which imports it with the first parameter of a query.

    If pandas is installed, that import takes longer (0.3 s) than everything else.
    """
    if "pandas" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["pandas"]
