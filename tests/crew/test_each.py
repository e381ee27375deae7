"""A function for each item: order, progress, and what is told where. The engines run no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from kndb.crew.each import Items, Tell, each
from kndb.crew.engines import Here
from kndb.crew.work import ItemT, ResultT, Work, cut
from kndb.models import ModelInfo

INFO = ModelInfo("none", "", "bert", "masked_lm", 1, 1, "")


class NoModel:
    info = INFO
    adapter = "none"


class Backwards:
    """Workers, of which the last is done first."""

    info = INFO
    adapter = "none"
    workers: Mapping[str, int] = {}

    def run(self, work: Work[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
        for part in reversed(cut(work, items, 1)):
            yield from part.results(None)  # type: ignore[arg-type]


def doubled(model: Any, item: int, tell: Tell) -> int:
    for step in range(1, item + 1):
        tell(step)
    return 2 * item


GIVEN = Items([1, 3, 2], "numbers", str, steps=lambda item: item)
HERE: Any = Here(NoModel())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("engine", "told"), [(HERE, [0, 1, 2, 3, 4, 5, 6]), (Backwards(), [0, 2, 5, 6])]
)
def test_results_are_in_order_and_steps_are_told_once(engine: Any, told: list[int]) -> None:
    found: list[tuple[int, int]] = []
    assert each(engine, doubled, GIVEN, lambda *steps: found.append(steps)) == [2, 6, 4]
    assert found == [(step, 6) for step in told]


def test_a_part_is_named_by_its_first_item() -> None:
    parts: list[str] = []

    class Naming(Backwards):
        def run(self, work: Work[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
            parts.extend(map(str, cut(work, items, 1)))
            return super().run(work, items)

    each(Naming(), doubled, Items([7] * 9, "numbers", str, most=2))
    assert parts == ["2 numbers from '7' on"] * 4 + ["1 numbers from '7' on"]


def test_no_items() -> None:
    assert each(HERE, doubled, Items([], "numbers", str)) == []
