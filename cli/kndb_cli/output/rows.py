"""Rows as the output layer takes them, and their values as plain data. Writes nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
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


def plain(value: Any) -> Any:
    """A value of the database as JSON knows it: not-a-number is null, bytes are hexadecimal.

    >>> plain({"p": float("nan"), "at": date(2026, 11, 23), "ids": (1, 2)})
    {'p': None, 'at': '2026-11-23', 'ids': [1, 2]}
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes() | bytearray():
            return value.hex()
        case date() | time():
            return value.isoformat()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return str(value)
