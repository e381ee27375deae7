"""The result of a query: rows with named columns, independent of the database.

All rows are read at once, so a result outlives its connection. For more rows than fit in memory,
use ``kndb.store.export``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kndb.errors import UsageError
from kndb.plain import unique

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa


UNREPRESENTABLE = (
    "The answer holds a value that is too large for Python, such as an interval; cast it to "
    "VARCHAR."
)
"""For the OverflowError that DuckDB raises when it turns such a value into Python's."""

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


class Result:
    """Rows with named columns.

    Attributes:
        columns: their names.
        types: DuckDB's type names, for example ``BIGINT``.
        models: names of the models whose neurons the rows hold, by the hash of their weights; empty
            if unknown.
        total: how many rows there are altogether, where only some were asked for.
    """

    def __init__(
        self,
        columns: tuple[str, ...],
        types: tuple[str, ...],
        rows: list[tuple[Any, ...]],
        models: Mapping[str, str] | None = None,
        total: int | None = None,
    ) -> None:
        self.columns = columns
        self.types = types
        self.models = dict(models or {})
        self.total = len(rows) if total is None else total
        self._rows = rows

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> Result:
        """Read all rows that the connection's last statement returned."""
        description = connection.description or []
        return cls(
            tuple(str(column[0]) for column in description),
            tuple(str(column[1]) for column in description),
            connection.fetchall() if description else [],
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows, as tuples in the order of ``columns``."""
        return self._rows

    def head(self, count: int) -> Result:
        """The first rows, at most ``count``."""
        return Result(self.columns, self.types, self._rows[:count], self.models, self.total)

    def of_models(self, models: Mapping[str, str]) -> Result:
        """The same rows, as neurons of these models; see ``models``."""
        return Result(self.columns, self.types, self._rows, models, self.total)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows, as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self._rows]

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table, with DuckDB's Arrow types."""
        # Here, because rows alone need neither: saves 0.2 s.
        import duckdb
        import pyarrow as pa

        with duckdb.connect() as scratch:
            nulls = ", ".join(f"CAST(NULL AS {kind})" for kind in self.types)
            types = scratch.execute(f"SELECT {nulls}").to_arrow_table().schema.types
        columns = list(zip(*self._rows, strict=True)) or [()] * len(types)
        arrays = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
        return pa.Table.from_arrays(arrays, names=list(self.columns))

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas data frame. Whole numbers stay whole where some are missing.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd  # An extra of the distribution.
        except ImportError as error:
            raise _not_installed("pandas") from error
        frame = pd.DataFrame.from_records(self._rows, columns=unique(self.columns))
        for at, kind in enumerate(self.types):
            values = [row[at] for row in self._rows]
            if kind in _WHOLE and None in values:  # as a float, an id would lose its last digits
                frame.isetitem(at, pd.array(values, dtype="Int64"))
        return frame

    def to_polars(self) -> pl.DataFrame:
        """The rows as a Polars data frame.

        Raises:
            UsageError: Polars is not installed.
        """
        try:
            import polars as pl  # An extra of the distribution.
        except ImportError as error:
            raise _not_installed("polars") from error
        return pl.DataFrame(self.to_arrow().rename_columns(unique(self.columns)))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows for any library that reads Arrow's C stream interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Result: {len(self)} rows of {', '.join(self.columns)}>"

    def show(self, limit: int = 20) -> None:
        """Print the first rows as a table.

        Args:
            limit: how many.
        """
        # Here, because only people who look at rows ask for it.
        from kndb.store.result_tables import print_result

        print_result(self.columns, self._rows, limit)

    def _repr_html_(self) -> str:
        """The rows for a notebook: as a table, with bars for scores."""
        # Here, because only notebooks ask for it.
        from kndb.store.result_tables import result_html

        return result_html(self.columns, self._rows)


def _not_installed(package: str) -> UsageError:
    return UsageError(
        f"to_{package} needs {package}; install it with `pip install 'kndb[{package}]'`."
    )
