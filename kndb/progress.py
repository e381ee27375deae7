"""How long work tells those who wait for it."""

from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with ``(done, total)``; the first call counts what earlier calls had done."""


def silent(done: int, total: int) -> None:
    """Report nothing."""
