"""The type of progress callbacks. Displaying progress is the caller's business."""

from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with ``(done, total)``; ``done`` includes work from earlier, interrupted runs."""


def silent(done: int, total: int) -> None:
    """Ignore progress."""
