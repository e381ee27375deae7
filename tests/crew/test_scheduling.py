"""Handing out work: to workers that live, die, and never get ready. The pool here runs nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kndb.crew.cluster import Node, RayCluster, divide
from kndb.crew.scheduling import AHEAD, Crew, Died, Done, Ready
from kndb.crew.work import Part, Work, cut
from kndb.errors import KndbError

Text = tuple[str, str]
"""A language, and a text in it."""


class Reading(Work[Text, int]):
    unit = "prompts"
    most = 32

    def results(self, model: Any, items: Sequence[Text]) -> list[int]:
        return [len(text) for _, text in items]

    def name(self, item: Text) -> str:
        return item[1]

    def order(self, item: Text) -> tuple[str, int]:
        return item[0], len(item[1])


PARTS = [Part(Reading(), [("en", f"Prompt {n}")]) for n in range(6)]


class Pool:
    """Workers take turns, one part a turn.

    Args:
        dies: whether a worker, given by its number, dies of a part; of None, while it starts.
    """

    def __init__(self, dies: Callable[[int, int | None], bool] = lambda worker, part: False):
        self.given: list[int] = []
        self.most = 0
        self._dies = dies
        self._turns: deque[int] = deque()
        self._has: dict[int, deque[int | None]] = {}

    def start(self, worker: int) -> None:
        assert worker not in self._has
        self._has[worker] = deque([None])
        self._turns.append(worker)

    def give(self, worker: int, number: int, part: Part[Any, Any]) -> None:
        assert part is PARTS[number]
        self.given.append(number)
        self._has[worker].append(number)
        self.most = max(self.most, len(self._has[worker]))

    def wait(self) -> Ready | Done | Died:
        worker = next(worker for worker in self._turns if self._has[worker])
        self._turns.remove(worker)
        part = self._has[worker].popleft()
        if self._dies(worker, part):
            self._has[worker].clear()
            return Died(worker, f"The worker {worker} died")
        self._turns.append(worker)
        return Ready(worker) if part is None else Done(worker, part, [part])


def done(pool: Pool, size: int = 2) -> list[int]:
    crew = Crew(pool, size)
    crew.wait_for_one()
    return sorted(crew.results(PARTS))


def test_every_part_is_done_once() -> None:
    pool = Pool()
    assert done(pool) == pool.given == [0, 1, 2, 3, 4, 5]
    assert pool.most == AHEAD


def test_what_a_dead_worker_had_is_done_again() -> None:
    pool = Pool(lambda worker, part: worker == 1 and part is not None)
    assert done(pool) == [0, 1, 2, 3, 4, 5]
    assert len(pool.given) == 6 + AHEAD


def test_a_worker_that_dies_with_nothing_to_do_is_replaced() -> None:
    assert done(Pool(lambda worker, part: worker < 5 and part == worker)) == [0, 1, 2, 3, 4, 5]


def test_a_part_that_kills_three_workers_is_named_and_not_what_waited_behind_it() -> None:
    pool = Pool(lambda worker, part: part == 2)
    with pytest.raises(KndbError, match=r"1 prompts from 'Prompt 2' on killed 3 workers \(The"):
        done(pool)
    assert pool.given.count(2) == 3


@pytest.mark.parametrize(
    "deaths",
    [
        pytest.param({(0, 0), (1, 0), (2, 1)}, id="part 1 is behind part 0 twice"),
        pytest.param(
            {(0, None), (1, None), (2, 0), (3, None), (4, None)}, id="a good start between"
        ),
    ],
)
def test_deaths_that_are_not_three_of_one_kind_are_survived(
    deaths: set[tuple[int, int | None]],
) -> None:
    assert done(Pool(lambda worker, part: (worker, part) in deaths), size=1) == [0, 1, 2, 3, 4, 5]


def test_three_failed_starts_are_survived_while_another_worker_starts() -> None:
    assert done(Pool(lambda worker, part: worker < 3 and part is None)) == [0, 1, 2, 3, 4, 5]


def test_workers_that_do_not_get_ready_end_it_only_if_there_are_no_others() -> None:
    assert done(Pool(lambda worker, part: worker > 0 and part is None)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(KndbError, match="as 2 others before they were ready"):
        done(Pool(lambda worker, part: part is None))


def test_nothing_to_do_ends_at_once() -> None:
    crew = Crew(Pool(), 1)
    crew.wait_for_one()
    assert list(crew.results([])) == []


def test_parts_are_small() -> None:
    assert [len(part) for part in cut(Reading(), [("en", "a")] * 200, 1)] == [32] * 6 + [8]


def test_items_of_a_part_are_alike() -> None:
    texts = [("en" if n % 2 else "zh", "a" * (1 + n % 7)) for n in range(100)]
    parts = cut(Reading(), texts, 1)
    assert [len(part) for part in parts] == [25, 25, 25, 25]
    assert [len(part) for part in cut(Reading(), texts, 100)] == [1] * 100
    assert cut(Reading(), [], 2) == []
    assert sorted(text for part in parts for text in part.items) == sorted(texts)
    assert [len(text) for _, text in parts[0].items] == sorted(
        len(text) for lang, text in texts if lang == "en"
    )[:25]


@pytest.mark.parametrize(
    ("nodes", "cluster", "expected"),
    [
        ([(4, 0), (8, 0)], RayCluster(), (2, 4, 0.0)),
        ([(4, 0), (12, 0)], RayCluster(workers=4), (4, 4, 0.0)),
        ([(2, 0)], RayCluster(workers=5), (5, 1, 0.0)),
        ([(0, 0), (16, 2)], RayCluster(), (2, 8, 1.0)),
        ([(4, 0), (16, 2)], RayCluster(gpus=0.5), (4, 4, 0.5)),
        ([(16, 2)], RayCluster(gpus=0), (1, 16, 0)),
        ([], RayCluster(), (1, 1, 0.0)),
    ],
)
def test_a_cluster_is_divided(
    nodes: list[tuple[int, int]], cluster: RayCluster, expected: tuple[int, int, float]
) -> None:
    assert divide([Node(*node) for node in nodes], cluster, "auto") == expected


def test_without_gpus_for_the_cpu() -> None:
    assert divide([Node(16, 2)], RayCluster(), "cpu") == (1, 16, 0.0)
