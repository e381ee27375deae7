"""Compare two databases whose runs may round differently: through batches, threads, processors.

Rows are matched by key. Figures agree within a tolerance, also inside lists. A row that is kept
only because a score passes a threshold may be in one database alone if its score lies there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from safetensors.numpy import load

from kndb.store.database import connect

RELATIVE = 1e-3
"""Unless said otherwise, figures may differ by this share of themselves, or by a tenth of it of
the column's largest."""

LOOSER = {"completeness": 1e-3, "score_error": 1e-3}
"""Columns that are themselves residuals: rounding alone moves them by this much."""

TIMES = {"started_at", "finished_at", "created_at"}

KEYS = {
    "model": ("model_id",),
    "dataset": ("dataset_id",),
    "relation": ("relation_id",),
    "fact": ("fact_id",),
    "prompt": ("prompt_id",),
    "run": ("run_id",),
    "prediction": ("run_id", "prompt_id"),
    "attribution": ("run_id", "prompt_id", "layer", "neuron"),
    "word_attribution": ("run_id", "prompt_id", "position"),
    "neuron_direction": ("model_id", "layer", "neuron", "rank"),
    "knowledge_neuron": ("run_id", "fact_id", "lang", "layer", "neuron"),
    "degenerate_search": ("search_id",),
    "degenerate_fact": ("search_id", "fact_id", "lang"),
    "degenerate_set": ("search_id", "set_id"),
    "degenerate_member": ("search_id", "set_id", "layer", "neuron"),
    "degenerate_subset": ("search_id", "set_id", "members"),
    "edit": ("edit_id",),
    "edit_neuron": ("edit_id", "kind", "layer", "neuron"),
    "edit_measure": ("edit_id", "kind", "prompt_id"),
}

AT_A_THRESHOLD = {
    # The lowest scores of a prompt that are stored at all.
    "attribution": """
        SELECT * FROM attribution
        WINDOW prompts AS (PARTITION BY run_id, prompt_id)
        QUALIFY score <= min(score) OVER prompts + {relative} * max(abs(score)) OVER prompts
    """,
    # Neurons with a prompt in which they are at the threshold of selection.
    "knowledge_neuron": """
        SELECT attribution.*, fact_id, lang
        FROM attribution JOIN prompt USING (prompt_id) JOIN run USING (run_id)
        WINDOW prompts AS (PARTITION BY attribution.run_id, prompt_id)
        QUALIFY abs(score - tau * max(score) OVER prompts) <= {relative} * max(score) OVER prompts
    """,
}

Row = Mapping[str, Any]


def assert_same_rows(
    found: Path,
    expected: Path,
    tables: Sequence[str],
    relative: float = RELATIVE,
    of_largest: float = RELATIVE / 10,
) -> None:
    """Each table has the same rows in both databases, except for rounding and times.

    Args:
        found, expected: the databases.
        tables: names in ``KEYS``.
        relative: figures may differ by this share of themselves.
        of_largest: or by this share of the largest in their column.
    """
    with connect(found) as one, connect(expected) as other:
        both = one, other
        read = {table: [_by_key(each, table) for each in both] for table in tables}
        near = {table: [_borderline(each, table, relative) for each in both] for table in tables}
    for table, rows in read.items():
        borderline = set().union(*near[table])
        assert rows[0].keys() ^ rows[1].keys() <= borderline, table
        compared = (rows[0].keys() & rows[1].keys()) - borderline
        assert 2 * len(compared) >= len(rows[1]), f"{table}: most rows are at a threshold"
        left, right = ([own[key] for key in compared] for own in rows)
        _compare(table, left, right, relative, of_largest)


def close(found: Any, expected: Any, absolute: float = 0, relative: float = RELATIVE) -> bool:
    """Equal values; floats, also in lists, within the tolerance; a missing one is missing in both.

    Bytes are safetensors, and compared tensor by tensor.

    >>> close([0.5, None], [0.5001, None]), close(1, 2, 1.0), close(float("nan"), 0.0, 1.0)
    (True, False, False)
    """
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(
            close(a, b, absolute, relative) for a, b in zip(found, expected, strict=True)
        )
    if isinstance(found, bytes) and isinstance(expected, bytes):
        tensors, others = load(found), load(expected)
        return tensors.keys() == others.keys() and all(
            np.allclose(tensors[name], others[name], rtol=relative, atol=0) for name in tensors
        )
    if isinstance(found, float) and isinstance(expected, float):
        if math.isnan(found) or math.isnan(expected):
            return math.isnan(found) and math.isnan(expected)
        return abs(found - expected) <= max(absolute, relative * abs(expected))
    return bool(found == expected)


def _by_key(connection: duckdb.DuckDBPyConnection, table: str) -> dict[tuple[Any, ...], Row]:
    cursor = connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    rows: list[Row] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    found = {tuple(row[name] for name in KEYS[table]): row for row in rows}
    assert len(found) == len(rows), f"{table} holds a row twice"
    return found


def _borderline(
    connection: duckdb.DuckDBPyConnection, table: str, relative: float
) -> set[tuple[Any, ...]]:
    if table not in AT_A_THRESHOLD:
        return set()
    chosen = AT_A_THRESHOLD[table].format(relative=relative)
    rows = connection.execute(f"SELECT DISTINCT {', '.join(KEYS[table])} FROM ({chosen})")
    return set(rows.fetchall())


def _compare(
    table: str,
    found: Sequence[Row],
    expected: Sequence[Row],
    relative: float,
    of_largest: float,
) -> None:
    columns = (expected[0].keys() if expected else set()) - TIMES
    for name in columns:
        figures = [abs(row[name]) for row in expected if isinstance(row[name], float)]
        absolute = LOOSER.get(name, of_largest * max(figures, default=1.0))
        for left, right in zip(found, expected, strict=True):
            assert close(left[name], right[name], absolute, relative), (table, name, left, right)
