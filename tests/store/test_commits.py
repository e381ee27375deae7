"""Work is stored in batches, and an interrupt loses none of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kndb.store.commits import Batches


def test_a_batch_is_written_when_it_is_full_and_the_rest_at_the_end() -> None:
    written: list[Sequence[int]] = []
    with Batches(written.append, items=3, seconds=1e9) as batches:
        for number in range(7):
            batches.add(number)
    assert written == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_batch_is_written_when_its_time_has_come() -> None:
    written: list[Sequence[int]] = []
    with Batches(written.append, items=1000, seconds=0) as batches:
        for number in range(3):
            batches.add(number)
    assert written == [[0], [1], [2]]


def test_collecting_writes_nothing_until_it_is_asked_to() -> None:
    written: list[Sequence[int]] = []
    with Batches(written.append, items=1, seconds=1e9) as batches:
        batches.collect(1)
        assert (batches.due, written) == (True, [])
        batches.flush()
        assert (batches.due, written) == (False, [[1]])
        batches.flush()
    assert written == [[1]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_is_waiting_is_written_before_an_error_goes_on(error: type[BaseException]) -> None:
    written: list[Sequence[int]] = []

    def fail() -> None:
        with Batches(written.append, items=1000, seconds=1e9) as batches:
            batches.add(1)
            raise error

    with pytest.raises(error):
        fail()
    assert written == [[1]]


def test_an_interrupted_write_is_repeated() -> None:
    written: list[Sequence[int]] = []
    interrupts = [KeyboardInterrupt]

    def write(batch: Sequence[int]) -> None:
        if interrupts:
            raise interrupts.pop()
        written.append(batch)

    with pytest.raises(KeyboardInterrupt), Batches(write, items=1, seconds=1e9) as batches:
        batches.add(1)
    assert written == [[1]]


def test_a_failed_write_is_not_repeated() -> None:
    tries: list[Sequence[int]] = []

    def write(batch: Sequence[int]) -> None:
        tries.append(batch)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Batches(write, items=1) as batches:
        batches.add(1)
    assert tries == [[1]]
