"""Rows keep one line each in a narrow terminal, with fewer columns and short ids."""

from __future__ import annotations

import io

import pytest

from kndb_cli.output.fitting import narrowing
from kndb_cli.output.rows import Listing
from kndb_cli.output.tables import draw

RUNS = Listing(
    ("run_id", "model", "preset", "done"),
    [(5035186028894240262, "demo-causal", "amig", 640), (5035186099999999999, "x", "amig", 1)],
)


@pytest.mark.parametrize(
    ("columns", "head", "first"),
    [
        (80, "run_id model preset done", "5035186028894240262"),
        (40, "run_id model done", "503518602"),
        (22, "run_id model", "503518602"),
    ],
)
def test_fewer_columns_in_less_room(
    monkeypatch: pytest.MonkeyPatch, columns: int, head: str, first: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    drawn = io.StringIO()
    draw(narrowing(RUNS, ("run_id", "model", "done"), ("run_id", "model")), drawn)
    names, _, line, _ = drawn.getvalue().splitlines()
    assert names.split() == head.split()
    assert line.split()[0] == first


def test_a_block_for_each_where_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    drawn = io.StringIO()
    draw(narrowing(RUNS, ("run_id", "model")), drawn)
    assert len(drawn.getvalue().splitlines()) > 8
