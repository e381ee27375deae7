"""Progress on stderr: a bar with rate and time left in a terminal, else an occasional line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kndb.progress import Report, silent
from kndb_cli.output.terminal import note, visible

if TYPE_CHECKING:
    from rich.progress import Progress, Task


LINE_EVERY = 10.0  # seconds between two lines of a log

SETTLING = 0.3  # seconds after the first report, as items stored before would distort the rate


@contextmanager
def reporting(label: str, unit: str, quiet: bool) -> Iterator[Report]:
    """Yield a function to report progress with; clean up the terminal when the block ends."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar(unit) as bar:
            yield _on_bar(bar, visible(label))
    else:
        yield _in_lines(label, unit)


def _bar(unit: str) -> Progress:
    # Deferred: only long work needs Rich, which takes 0.05 s.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(rate(task.finished_speed or task.speed, unit))

    class Left(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            known = task.finished or task.time_remaining is not None
            return super().render(task) if known else Text()

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        Rate(),
        Left(compact=True, elapsed_when_finished=True),
        console=Console(file=sys.stderr),
        expand=True,
    )


def rate(speed: float | None, unit: str) -> str:
    """Items per second, or seconds per item where that is more; empty if it is not known yet.

    >>> rate(12.345, "facts"), rate(0.0312, "facts"), rate(None, "facts")
    ('12.3 facts/s', '32.1 s/fact', '')
    """
    if not speed:
        return ""
    return f"{speed:.1f} {unit}/s" if speed >= 1 else f"{1 / speed:.1f} s/{unit.removesuffix('s')}"


def left(seconds: float) -> str:
    """A time to wait, in the two largest units.

    >>> left(42), left(754), left(7260)
    ('42 s', '12 min 34 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _on_bar(bar: Progress, label: str) -> Report:
    task = bar.add_task(label, total=None)
    settled = float("inf")

    def report(done: int, total: int) -> None:
        nonlocal settled
        settled = min(settled, time.monotonic() + SETTLING)
        if time.monotonic() < settled:
            bar.reset(task, completed=done, total=total)
        else:
            bar.tasks[task].total = total  # as an argument of update, a new one forgets the rate
            bar.update(task, completed=done)

    return report


def _in_lines(label: str, unit: str) -> Report:
    start = last = time.monotonic()
    stored: int | None = None  # items that earlier calls had done

    def report(done: int, total: int) -> None:
        nonlocal start, last, stored
        now = time.monotonic()
        stored = done if stored is None else stored
        if done == stored:  # the time before the first one says nothing of the others
            start = now
        if now - last >= LINE_EVERY:
            last = now
            speed = (done - stored) / (now - start) if now > start else 0.0
            parts = [f"{label}: {done} of {total} {unit}"]
            if speed:
                parts += [rate(speed, unit), f"{left((total - done) / speed)} left"]
            note(", ".join(parts))

    return report
