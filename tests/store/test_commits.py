"""Work is stored in batches, and an interrupt loses none of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from kndb.errors import DatabaseLocked
from kndb.store.commits import KEPT_BATCHES, Batches


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


def locked_for(tries: int, written: list[Sequence[int]]) -> Callable[[Sequence[int]], None]:
    """Writes into a list, but for the first tries, when another process holds the file."""
    left = [DatabaseLocked("k.duckdb is in use.")] * tries

    def write(batch: Sequence[int]) -> None:
        if left:
            raise left.pop()
        written.append(batch)

    return write


def test_work_goes_on_while_the_file_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    written: list[Sequence[int]] = []
    with Batches(locked_for(2, written), items=1, seconds=1e9) as batches:
        for number in range(4):
            batches.add(number)
    assert written == [[0, 1, 2], [3]]
    assert "2 results are kept until the file is free." in capsys.readouterr().err


def test_a_held_file_is_tried_again_after_another_batch_not_with_every_item() -> None:
    written: list[Sequence[int]] = []
    with Batches(locked_for(1, written), items=3, seconds=1e9) as batches:
        for number in range(5):
            batches.add(number)
        assert written == []
        batches.add(5)
        assert written == [[0, 1, 2, 3, 4, 5]]


def test_work_ends_when_the_file_is_held_too_long() -> None:
    written: list[Sequence[int]] = []
    items = range(2 * KEPT_BATCHES)

    def store() -> None:
        with Batches(locked_for(KEPT_BATCHES, written), items=1, seconds=1e9) as batches:
            for number in items:
                batches.add(number)

    with pytest.raises(DatabaseLocked):
        store()
    assert written == [[*items[:KEPT_BATCHES]]]  # the last try, at the end, succeeds


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
