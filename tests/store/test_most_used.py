"""The neurons that most facts use, counted in a pass over rows in whatever batches they come."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

import pyarrow as pa
import pytest

from kndb.store.most_used import most_used

POPULATION = 50
Row = tuple[int, int]
"""A cell and a fact."""


def rows(facts: int, seed: int) -> list[Row]:
    """Facts, each with some neurons in several languages."""
    random = Random(seed)
    ids = random.sample(range(2**62), facts)
    found = [
        (cell, fact)
        for fact in ids
        for cell in random.choices(
            range(POPULATION - 1), range(1, POPULATION), k=random.randint(1, 30)
        )
    ]
    return sorted(found)


def read(found: list[Row], size: int, order: str) -> list[pa.RecordBatch]:
    """The rows in batches of a size, in the order that is asked for."""
    cells, facts = zip(*(sorted(found) if order else found), strict=True)
    columns = {"cell": pa.array(cells, pa.int32()), "fact_id": pa.array(facts, pa.int64())}
    batches: list[pa.RecordBatch] = pa.table(columns).to_batches(max_chunksize=size)
    return batches


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize("last", [1, 3, 1000])
def test_each_fact_counts_once(size: int, last: int, apart: bool) -> None:
    found = rows(40, seed=size)
    counted = Counter(cell for cell, _ in {*found})
    if apart:
        Random(last).shuffle(found)
    most = most_used(partial(read, found, size), POPULATION, last)
    bar = sorted(counted.values(), reverse=True)[:last][-1]
    assert most.cells == sorted(cell for cell, n in counted.items() if n >= bar)
    assert most.n_known == len(counted)


def test_there_may_be_no_rows() -> None:
    most = most_used(lambda order: [], POPULATION, 3)
    assert (most.cells, most.n_known) == ([], 0)


@pytest.mark.parametrize(
    "found",
    [[(1, 5), (2, 5), (1, 5)], [(1, 5), (1, 6), (1, 5), (2, 5), (2, 6)]],
    ids=["neurons", "facts"],
)
@pytest.mark.parametrize("size", [1, 3])
def test_rows_in_another_order_are_read_again(found: list[Row], size: int) -> None:
    most = most_used(partial(read, found, size), POPULATION, 1)
    counted = Counter(cell for cell, _ in {*found})
    assert most.cells == sorted(cell for cell, n in counted.items() if n == max(counted.values()))
