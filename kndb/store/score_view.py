"""The view ``score``: the score of every neuron, read from the parts beside the database.

It is temporary, made whenever a database is opened for reading: what the parts are is known only
then, and the file stores no path.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from pathlib import Path

import duckdb

from kndb.store.score_folder import Part, is_whole, missing_sentence, part_files
from kndb.store.views import SCORE, quoted, statements

_PARTS = "SELECT run_id, part_id, n_prompts, n_bytes FROM score_part ORDER BY run_id, part_id"

_COLUMNS = "run_id, prompt_id, layer, neuron, score"
_EMPTY = (
    "SELECT {run}::BIGINT AS run_id, NULL::BIGINT AS prompt_id, NULL::SMALLINT AS layer, "
    "NULL::INTEGER AS neuron, NULL::FLOAT AS score WHERE {condition}"
)


def parts_of(connection: duckdb.DuckDBPyConnection) -> list[Part]:
    """All parts that the database lists, by run."""
    return [Part(*row) for row in connection.execute(_PARTS).fetchall()]


def add_score_view(connection: duckdb.DuckDBPyConnection, path: str | Path | None = None) -> None:
    """Make the view on a reader's connection; an empty one where there are no parts.

    A run whose parts are missing or damaged raises an error when it is asked for, and only then.
    """
    listed = [] if path is None else parts_of(connection)
    present = part_files(path) if path is not None and listed else {}
    whole: list[list[Part]] = []
    failing: list[str] = []
    for run_id, group in groupby(listed, key=lambda part: part.run_id):
        parts = list(group)
        n_missing = sum(not is_whole(part, present) for part in parts)
        if n_missing:
            failing.append(_failing(run_id, missing_sentence(run_id, n_missing, len(parts))))
        else:
            whole.append(parts)
    try:
        _make(connection, whole, failing)
    except duckdb.Error:  # DuckDB reads a file of them all, which may be damaged
        damaged = [parts for parts in whole if not _is_readable(connection, parts)]
        failing += [
            _failing(parts[0].run_id, missing_sentence(parts[0].run_id, 1, len(parts)))
            for parts in damaged
        ]
        _make(connection, [parts for parts in whole if parts not in damaged], failing)


def _make(
    connection: duckdb.DuckDBPyConnection, whole: Sequence[Sequence[Part]], failing: Sequence[str]
) -> None:
    reading = [_reading(list(chain.from_iterable(whole)))] if whole else []
    select = " UNION ALL ".join([*failing, *reading])
    select = select or _EMPTY.format(run="NULL", condition="false")
    for statement in statements(SCORE._replace(select=select)):
        connection.execute(statement)


def _is_readable(connection: duckdb.DuckDBPyConnection, parts: Sequence[Part]) -> bool:
    try:
        connection.execute(f"{_reading(parts)} LIMIT 0")
    except duckdb.Error:
        return False
    return True


def _reading(parts: Sequence[Part]) -> str:
    names = ", ".join(quoted(part.name) for part in parts)
    return f"SELECT {_COLUMNS} FROM read_parquet([{names}])"


def _failing(run_id: int, sentence: str) -> str:
    return _EMPTY.format(run=run_id, condition=f"error({quoted(sentence)}) IS NULL")
