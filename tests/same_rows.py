"""Compare two databases whose runs may round differently: through batches, threads, processors.

Rows are matched by key. Figures agree within a tolerance, also inside lists. A row that is kept
only because a score passes a threshold may be in one database alone if its score lies there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kndb

RELATIVE = 1e-3
"""Figures may differ by this share of themselves, or by a tenth of it of the column's largest."""

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
    "knowledge_neuron": ("run_id", "fact_id", "lang", "layer", "neuron"),
    "degenerate_fact": ("search_id", "fact_id", "lang"),
    "degenerate_set": ("search_id", "set_id"),
    "degenerate_member": ("search_id", "set_id", "layer", "neuron"),
    "degenerate_subset": ("search_id", "set_id", "members"),
}

AT_A_THRESHOLD = {
    # The lowest scores of a prompt that are stored at all.
    "attribution": f"""
        SELECT * FROM attribution
        WINDOW prompts AS (PARTITION BY run_id, prompt_id)
        QUALIFY score <= min(score) OVER prompts + {RELATIVE} * max(abs(score)) OVER prompts
    """,
    # Neurons with a prompt in which they are at the threshold of selection.
    "knowledge_neuron": f"""
        SELECT attribution.*, fact_id, lang
        FROM attribution JOIN prompt USING (prompt_id) JOIN run USING (run_id)
        WINDOW prompts AS (PARTITION BY attribution.run_id, prompt_id)
        QUALIFY abs(score - tau * max(score) OVER prompts) <= {RELATIVE} * max(score) OVER prompts
    """,
}

Row = Mapping[str, Any]


def assert_same_rows(found: Path, expected: Path, tables: Sequence[str]) -> None:
    """Each table has the same rows in both databases, except for rounding and times."""
    for table in tables:
        rows = _by_key(found, table), _by_key(expected, table)
        borderline = _borderline(found, table) | _borderline(expected, table)
        assert rows[0].keys() ^ rows[1].keys() <= borderline, table
        compared = (rows[0].keys() & rows[1].keys()) - borderline
        assert 2 * len(compared) >= len(rows[1]), f"{table}: most rows are at a threshold"
        _compare(table, *([own[key] for key in compared] for own in rows))


def close(found: Any, expected: Any, absolute: float = 0) -> bool:
    """Equal values; floats, also in lists, within the tolerance; a missing one is missing in both.

    >>> close([0.5, None], [0.5001, None]), close(1, 2, 1.0), close(float("nan"), 0.0, 1.0)
    (True, False, False)
    """
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(
            close(a, b, absolute) for a, b in zip(found, expected, strict=True)
        )
    if isinstance(found, float) and isinstance(expected, float):
        if math.isnan(found) or math.isnan(expected):
            return math.isnan(found) and math.isnan(expected)
        return abs(found - expected) <= max(absolute, RELATIVE * abs(expected))
    return bool(found == expected)


def _by_key(path: Path, table: str) -> dict[tuple[Any, ...], Row]:
    with kndb.open(path) as db:
        rows: list[Row] = [*db.sql(f"SELECT * FROM {table}").to_dicts()]
    found = {tuple(row[name] for name in KEYS[table]): row for row in rows}
    assert len(found) == len(rows), f"{table} holds a row twice"
    return found


def _borderline(path: Path, table: str) -> set[tuple[Any, ...]]:
    if table not in AT_A_THRESHOLD:
        return set()
    with kndb.open(path) as db:
        rows = db.sql(f"SELECT DISTINCT {', '.join(KEYS[table])} FROM ({AT_A_THRESHOLD[table]})")
        return set(rows.rows())


def _compare(table: str, found: Sequence[Row], expected: Sequence[Row]) -> None:
    columns = (expected[0].keys() if expected else set()) - TIMES
    for name in columns:
        figures = [abs(row[name]) for row in expected if isinstance(row[name], float)]
        absolute = LOOSER.get(name, RELATIVE / 10 * max(figures, default=1.0))
        for left, right in zip(found, expected, strict=True):
            assert close(left[name], right[name], absolute), (table, name, left, right)
