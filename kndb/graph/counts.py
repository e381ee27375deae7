"""Counts the knowledge neurons that the languages of each fact share, in one pass over the rows.

DuckDB reads, filters and packs the rows; they come fact by fact, as they are stored, so that a few
thousand at a time are sorted in the processor's cache. Grouping all rows by fact and neuron in
DuckDB alone builds a hash table of nearly as many groups as there are rows, which takes several
times as long and the memory. It knows no chance and stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from kndb.graph.chance import Ints
from kndb.store.refine import REFINED

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LANGS = 62
"""Languages are bits of a 64-bit number."""

_THREADS = 2  # more wait for the one that reads
_BATCH_ROWS = 65_536  # sorted in the second-level cache


@dataclass(frozen=True)
class Scope:
    """Which knowledge neurons are counted."""

    run_id: int
    n_neurons: int
    """Neurons of each layer of the run's model."""
    langs: tuple[str, ...]
    """The languages that are counted, sorted."""
    only_these_langs: bool = False
    """Whether the neurons may have other languages, which are left out."""
    facts: list[int] | None = None
    """Ids of the facts; None for all."""
    tau: float | None = None
    share: float | None = None
    """Thresholds to select anew with, from the raw scores; both None: the stored neurons."""

    @property
    def refined(self) -> bool:
        """Whether neurons are selected anew."""
        return self.tau is not None or self.share is not None


@dataclass(frozen=True)
class Counts:
    """Facts, rising by id, and the neurons that at least two of their languages share."""

    fact_ids: Ints
    """``(facts,)``"""
    sizes: Ints
    """``(facts, langs)``: knowledge neurons of the fact in each language."""
    n_union: Ints
    """``(facts,)``: knowledge neurons in any language."""
    shared_fact: Ints
    """``(shared,)``: place of the fact, of each neuron that at least two languages share."""
    shared_cell: Ints
    """``(shared,)``: the neuron, as ``layer * n_neurons + index``."""
    shared_langs: Ints
    """``(shared,)``: its languages, one bit each, the first language the lowest."""


def count_shared(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Counts:
    """Count the knowledge neurons of ``scope``. Facts without any are not in the answer."""
    counts = _count(connection, scope, in_order=scope.refined)
    if _is_rising(counts.fact_ids):
        return counts
    by_id = np.argsort(counts.fact_ids)
    if _is_rising(counts.fact_ids[by_id]):
        return _reordered(counts, by_id)
    return _count(connection, scope, in_order=True)  # the rows of a fact do not lie together


def _is_rising(fact_ids: Ints) -> bool:
    return bool(np.all(fact_ids[1:] > fact_ids[:-1]))


def _reordered(counts: Counts, by_id: Ints) -> Counts:
    place = np.empty_like(by_id)
    place[by_id] = np.arange(len(by_id))
    return Counts(
        counts.fact_ids[by_id],
        counts.sizes[by_id],
        counts.n_union[by_id],
        place[counts.shared_fact],
        counts.shared_cell,
        counts.shared_langs,
    )


def rows_sql(scope: Scope, columns: str) -> tuple[str, dict[str, Any]]:
    """SQL for columns of the scope's knowledge neurons, and its parameters."""
    params: dict[str, Any] = {"run": scope.run_id}
    source, conditions = "knowledge_neuron", ["run_id = $run"]
    if scope.refined:
        source = f"({REFINED})"
        thresholds = {"tau": scope.tau, "share": scope.share, "facts": scope.facts}
        params |= {"runs": [scope.run_id], **thresholds}
    if scope.facts is not None:
        params["facts"] = scope.facts
        conditions.append("fact_id IN (SELECT unnest($facts))")
    if scope.only_these_langs:
        conditions.append("list_contains($langs, lang)")
    if "$langs" in (sql := f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)}"):
        params["langs"] = list(scope.langs)
    return sql, params


def _count(connection: duckdb.DuckDBPyConnection, scope: Scope, *, in_order: bool) -> Counts:
    columns = (
        f"fact_id, CAST(layer AS INTEGER) * {scope.n_neurons} + neuron AS cell, "
        "list_position($langs, lang) AS lang"
    )
    sql, params = rows_sql(scope, columns)
    reader = connection.execute(sql + " ORDER BY fact_id" * in_order, params).to_arrow_reader(
        _BATCH_ROWS
    )
    n_langs = len(scope.langs)
    with ThreadPoolExecutor(_THREADS) as pool:  # NumPy lets go of the interpreter
        parts = pool.map(partial(_count_batch, n_langs), _whole_facts(reader))
        return _joined(list(parts), n_langs)


def _whole_facts(reader: pa.RecordBatchReader) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Batches of ``fact_id``, ``cell`` and ``lang`` (from 1) that end where a fact ends."""
    held: list[list[Ints]] = []
    for batch in reader:
        columns = [column.to_numpy() for column in batch.columns]
        ends = np.flatnonzero(columns[0][1:] != columns[0][:-1])
        if ends.size:
            cut = ends[-1] + 1
            yield _stacked([*held, [column[:cut] for column in columns]])
            held, columns = [], [column[cut:] for column in columns]
        held.append(columns)
    if held:
        yield _stacked(held)


def _stacked(held: list[list[Ints]]) -> tuple[Ints, Ints, Ints]:
    facts, cells, langs = (np.concatenate(column) for column in zip(*held, strict=True))
    return facts, cells, langs


def _count_batch(n_langs: int, batch: tuple[Ints, Ints, Ints]) -> Counts:
    fact_ids, cells, langs = batch
    new_fact = fact_ids[1:] != fact_ids[:-1]
    starts = np.append(0, np.flatnonzero(new_fact) + 1)
    rows = np.diff(starts, append=len(fact_ids))
    lang_bits = n_langs.bit_length()
    cell_bits = int(cells.max()).bit_length()
    kind = np.int32 if len(starts) << cell_bits + lang_bits < 2**31 else np.int64
    keys: Ints = np.repeat(np.arange(len(starts)).astype(kind), rows)
    keys <<= cell_bits
    keys |= cells
    keys <<= lang_bits
    keys |= langs
    keys.sort()
    neurons, shared_langs = _shared(keys, lang_bits)
    fact = neurons >> cell_bits
    repeats = np.bitwise_count(shared_langs) - 1
    return Counts(
        fact_ids[starts],
        _sizes(new_fact, starts, langs, n_langs),
        rows - np.bincount(fact, weights=repeats, minlength=len(starts)).astype(np.int64),
        fact,
        neurons & ((1 << cell_bits) - 1),
        shared_langs,
    )


def _sizes(new_fact: NDArray[np.bool_], starts: Ints, langs: Ints, n_langs: int) -> Ints:
    """``(facts, langs)``: rows of each fact and language; they mostly lie together."""
    begins = np.append(0, np.flatnonzero(new_fact | (langs[1:] != langs[:-1])) + 1)
    fact = np.searchsorted(starts, begins, side="right") - 1
    rows = np.diff(begins, append=len(langs))
    slots = n_langs + 1  # languages count from 1
    sizes = np.bincount(fact * slots + langs[begins], weights=rows, minlength=len(starts) * slots)
    return sizes.astype(np.int64).reshape(-1, slots)[:, 1:]


def _shared(keys: Ints, lang_bits: int) -> tuple[Ints, Ints]:
    """Neurons (fact and cell) that occur twice in the sorted keys, and their languages as bits."""
    neurons = keys >> lang_bits
    pairs = np.flatnonzero(neurons[1:] == neurons[:-1])
    if not pairs.size:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    begins = np.flatnonzero(np.append(True, np.diff(pairs) != 1))
    one, mask = np.int64(1), (1 << lang_bits) - 1
    bits = (one << (keys[pairs] & mask)) | (one << (keys[pairs + 1] & mask))
    # Languages count from 1 in the keys, from bit 0 in the answer.
    shared = neurons[pairs[begins]].astype(np.int64)
    return shared, np.bitwise_or.reduceat(bits, begins) >> 1


def _joined(parts: list[Counts], n_langs: int) -> Counts:
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return Counts(none, np.empty((0, n_langs), dtype=np.int64), none, none, none, none)
    offsets = np.cumsum([0, *(len(part.fact_ids) for part in parts[:-1])])
    return Counts(
        np.concatenate([part.fact_ids for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.n_union for part in parts]),
        np.concatenate([part.shared_fact + o for part, o in zip(parts, offsets, strict=True)]),
        np.concatenate([part.shared_cell for part in parts]),
        np.concatenate([part.shared_langs for part in parts]),
    )
