"""Finds the neurons that most facts use, in one pass over the rows of a run.

The rows arrive fact by fact, as they are stored, so a few thousand facts at a time can be sorted in
the processor's cache. ``count(DISTINCT fact_id)`` in DuckDB builds a hash table with almost as many
groups as rows, and takes four times as long. This module writes no SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.signedinteger]

MANY = 1_000_000
"""Stored rows from which on this pays."""

BATCH_ROWS = 262_144
"""Fits the cache."""


@dataclass(frozen=True)
class MostUsed:
    """Neurons with at least as many facts as the last that was asked for.

    Attributes:
        cells: the neurons, ``layer * n_neurons + index``.
        n_known: how many neurons any fact uses.
    """

    cells: list[int]
    n_known: int


def most_used(
    read: Callable[[str], Iterable[pa.RecordBatch]], population: int, last: int
) -> MostUsed:
    """The ``last`` neurons with the most facts, and those with as many as the last of them.

    Args:
        read: given the end of a query, its rows ``fact_id, cell``. A fact may have a neuron
            several times: once for each language.
        population: how many neurons the model has.
        last: how many are asked for.
    """
    import numpy as np  # Deferred: saves 0.1 s for small databases.

    n_facts, together = _count_facts(read(""), population)
    if not together:
        n_facts, _ = _count_facts(read("ORDER BY fact_id"), population)
    n_known = int(np.count_nonzero(n_facts))
    bar = np.partition(n_facts, -last)[-last] if last < n_known else 1
    return MostUsed(np.flatnonzero(n_facts >= bar).tolist(), n_known)


def _count_facts(batches: Iterable[pa.RecordBatch], population: int) -> tuple[Ints, bool]:
    """``(population,)`` numbers of facts, right if all rows of each fact are together."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    n_facts = np.zeros(population, dtype=np.int64)

    def count(rows: tuple[Ints, Ints]) -> Ints:
        facts, cells = rows
        new = facts[1:] != facts[:-1]
        once = _distinct(np.cumsum(new), cells, population)
        n_facts[:] += np.bincount(once, minlength=population)
        ids: Ints = facts[np.append(True, new)]
        return ids

    with ThreadPoolExecutor(1) as pool:  # NumPy releases the interpreter lock
        seen = [*pool.map(count, _whole_facts(batches)), np.empty(0, dtype=np.int64)]
    fact_ids = np.sort(np.concatenate(seen))
    return n_facts, not np.any(fact_ids[1:] == fact_ids[:-1])


def _whole_facts(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Ints, Ints]]:
    """The two columns, cut between facts. What follows the last cut waits for the next batch."""
    import numpy as np

    held: list[Ints] = [np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)]
    for batch in batches:
        rows = [column.to_numpy() for column in batch.columns]
        facts, cells = (np.concatenate(both) for both in zip(held, rows, strict=True))
        changes = np.flatnonzero(facts[1:] != facts[:-1])
        cut = int(changes[-1]) + 1 if changes.size else 0
        if cut:
            yield facts[:cut], cells[:cut]
        held = [facts[cut:], cells[cut:]]
    if held[0].size:
        yield held[0], held[1]


def _distinct(changes: Ints, cells: Ints, population: int) -> Ints:
    """The cell of each fact and neuron, once.

    Args:
        changes: ``(rows - 1,)``: how often the fact has changed up to the next row.
        cells: ``(rows,)``
        population: above every cell.
    """
    import numpy as np

    bits = population.bit_length()
    n_changes = int(changes[-1]) if changes.size else 0
    kind = np.int32 if (n_changes + 1) << bits < 2**31 else np.int64
    keys: Ints = cells.astype(kind)
    keys[1:] += np.left_shift(changes, bits, dtype=kind)
    keys.sort()
    once: Ints = keys[np.append(True, keys[1:] != keys[:-1])]
    return np.bitwise_and(once, (1 << bits) - 1)
