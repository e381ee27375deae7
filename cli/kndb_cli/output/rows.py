"""Rows as the output layer accepts them. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(Protocol):
    """Rows that can be written; ``kndb.store.result.Result`` is one implementation."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns' names."""

    @property
    def total(self) -> int:
        """How many rows there are altogether, where only some were read."""

    def rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows, each as long as ``columns``."""

    def to_arrow(self) -> pa.Table:
        """The same as an Arrow table."""

    def head(self, count: int) -> Rows:
        """The first rows, at most ``count``."""


@dataclass(frozen=True)
class Listing:
    """Rows that do not come from a query, such as a description of the database."""

    columns: Sequence[str]
    values: Sequence[tuple[Any, ...]]

    @property
    def total(self) -> int:
        """How many rows there are."""
        return len(self.values)

    def rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows, each as long as ``columns``."""
        return self.values

    def head(self, count: int) -> Listing:
        """The first rows, at most ``count``."""
        return Listing(self.columns, self.values[:count])

    def to_arrow(self) -> pa.Table:
        """The same as an Arrow table."""
        # Deferred: only Parquet needs it; saves 0.1 s.
        import pyarrow as pa

        columns = zip(*self.values, strict=True) if self.values else [()] * len(self.columns)
        return pa.table(dict(zip(self.columns, map(list, columns), strict=True)))
