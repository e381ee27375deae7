"""What kndb tells while it works: progress and notes. Showing them is the caller's business."""

from __future__ import annotations

import sys
from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with ``(done, total)``; ``done`` includes work from earlier, interrupted runs."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""


Note = Callable[[str], None]
"""Called with a sentence, such as what is waited for."""


def _print(text: str) -> None:
    print(text, file=sys.stderr)


_notes: list[Note] = [_print]


def say(text: str) -> None:
    """Give a note to the listener, or print it on standard error."""
    _notes[-1](text)


def listen(note: Note) -> None:
    """Have notes given to a function from now on."""
    _notes[:] = [note]
