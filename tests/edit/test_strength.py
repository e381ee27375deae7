"""The search for lambda finds the smallest with the highest share."""

from __future__ import annotations

import pytest

from kndb.edit.strength import GRID, smallest_best


@pytest.mark.parametrize("needed", [0.06, 0.1, 0.55, 0.8, 3.0, 12.8])
def test_the_smallest_that_wins_everywhere(needed: float) -> None:
    asked: list[float] = []

    def share(strength: float) -> float:
        asked.append(strength)
        return 1.0 if strength >= needed else 0.5

    found = smallest_best(share)
    assert found is not None
    assert found[1] == 1.0
    assert needed <= found[0] <= needed * 1.15
    assert len(asked) <= len(GRID) + 3


def test_the_smallest_of_the_best_where_none_wins_everywhere() -> None:
    assert smallest_best(lambda strength: 0.75 if strength >= 0.3 else 0.0) == (0.4, 0.75)
    assert smallest_best(lambda strength: 0.0) == (GRID[0], 0.0)
    assert smallest_best(lambda strength: None) is None
