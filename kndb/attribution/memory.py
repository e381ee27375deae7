"""Work in parts that fit a memory budget; halve the parts when memory runs out all the same."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from kndb.errors import ModelError

CPU_BUDGET = 160 * 2**20
"""Bytes for activations on the CPU. Twice as much is hardly faster there."""


def default_budget(device: torch.device) -> int:
    """Bytes for activations: on CUDA, a quarter of the free memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 4
    return CPU_BUDGET


def out_of_memory(error: BaseException) -> bool:
    """Whether this error says that a device has no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


class Budget:
    """A memory budget that shrinks when it proves too large."""

    def __init__(self, size: int) -> None:
        self.size = size

    def halve(self, at_least: int) -> None:
        """Go on with half of it.

        Raises:
            ModelError: even one item, ``at_least`` bytes, does not fit.
        """
        if self.size <= at_least:
            raise ModelError(
                f"Memory ran out on a single item of about {at_least / 2**20:.0f} MiB; "
                "use a smaller dtype or another device."
            )
        self.size = max(self.size // 2, at_least)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def run(self, costs: Sequence[int], work: Any) -> Iterator[Any]:
        """``work(slice)`` for consecutive items whose costs add up to at most the budget."""
        start = 0
        while start < len(costs):
            stop, total = start + 1, costs[start]
            while stop < len(costs) and total + costs[stop] <= self.size:
                total += costs[stop]
                stop += 1
            try:
                result = work(slice(start, stop))
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                result = None
            if result is None:  # outside the except block, which keeps the failed tensors alive
                self.size = min(self.size, total)
                self.halve(costs[start])
                continue
            yield result
            start = stop
