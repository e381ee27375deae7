"""Work in parts that fit a memory budget; halve the parts if memory runs out anyway."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from kndb.errors import ModelError

Result = TypeVar("Result")

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None

CPU_BUDGET = 512 * 2**20
"""Bytes for activations on the CPU. With 160 MiB the attribution of BERT-base's size is 1.2 times
slower; 1 GiB gains nothing more (``benchmarks/RESULTS.md``)."""


def default_budget(device: torch.device) -> int:
    """Bytes for activations: on CUDA, a quarter of the free memory."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 4
    return CPU_BUDGET


def out_of_memory(error: BaseException) -> bool:
    """Whether this error means that a device ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def release() -> None:
    """Return freed memory to the system.

    The C library on Linux keeps it, and blocks for prompts of one length leave holes that do not
    fit those of the next: without this, thousands of prompts of many lengths take several times
    the memory of the first ones. On other systems it does nothing.
    """
    if _TRIM:
        _TRIM(0)


class Budget:
    """A memory budget that shrinks when it proves too large."""

    def __init__(self, size: int) -> None:
        self.size = size

    def halve(self, at_least: int) -> None:
        """Continue with half the budget.

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

    def run(self, costs: Sequence[int], work: Callable[[slice], Result]) -> Iterator[Result]:
        """Run ``work`` on slices of consecutive items whose costs add up to at most the budget.

        If memory runs out, the budget is halved for good, and the same items are retried in smaller
        parts. Afterwards what parts have freed is returned to the system: not after each, because
        the next one, of sequences as long, would get the same memory back page by page.

        Args:
            costs: bytes of each item.
            work: returns anything but None for a slice of the items.

        Raises:
            ModelError: a single item does not fit.
        """
        start, several = 0, False
        while start < len(costs):
            stop, total = start + 1, costs[start]
            while stop < len(costs) and total + costs[stop] <= self.size:
                total += costs[stop]
                stop += 1
            try:
                result: Result | None = work(slice(start, stop))
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                result = None
            if result is None:  # outside the except block, which keeps the failed tensors alive
                self.size = min(self.size, total)
                self.halve(costs[start])
                continue
            yield result
            several = several or stop < len(costs)
            start = stop
        if several:
            release()
