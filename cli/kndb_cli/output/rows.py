"""Rows as the output layer takes them. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Rows(Protocol):
    """What can be written out: ``kndb.query.Result`` is one."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns' names."""

    def rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows, each as long as ``columns``."""

    def to_arrow(self) -> pa.Table:
        """The same as an Arrow table."""


@dataclass(frozen=True)
class Listing:
    """Rows that come from no query, such as a description of the database."""

    columns: Sequence[str]
    values: Sequence[tuple[Any, ...]]

    def rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows, each as long as ``columns``."""
        return self.values

    def to_arrow(self) -> pa.Table:
        """The same as an Arrow table."""
        # Here, because only --format parquet needs it: saves 0.1 s at each start.
        import pyarrow as pa

        columns = zip(*self.values, strict=True) if self.values else [()] * len(self.columns)
        return pa.table(dict(zip(self.columns, map(list, columns), strict=True)))
