"""Counts the knowledge neurons that the languages of each fact share, in one pass over the rows.

DuckDB reads and filters the rows. They arrive fact by fact, as they are stored, so small batches
can be sorted in the processor's cache. Grouping by fact and neuron in DuckDB instead builds a hash
table with almost as many groups as rows and takes several times the time and memory. This module
computes no probabilities and stores nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import numpy as np
from numpy.typing import NDArray

from kndb.graph.chance import Ints
from kndb.store.knowledge_sql import OF_FACTS
from kndb.store.refine import REFINED, REFINED_OF_FACTS

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LANGS = 62
"""A set of languages is stored as the bits of a 64-bit integer."""

THREADS = 2  # more threads only wait for the reader
_BATCH_ROWS = 262_144  # fits the cache; with smaller batches the threads wait for each other

Bools = NDArray[np.bool_]
Rows: TypeAlias = tuple[Ints, Ints, NDArray[np.uint8]]
"""``fact_id``, ``layer * n_neurons + neuron`` and the number of the language, from 1."""


@dataclass(frozen=True)
class Scope:
    """Which knowledge neurons to count."""

    run_id: int
    n_layers: int
    n_neurons: int
    """Neurons per layer of the run's model."""
    langs: tuple[str, ...]
    """The languages to compare, sorted."""
    only_these_langs: bool = False
    """Whether rows in other languages must be filtered out."""
    facts: list[int] | None = None
    """Ids of the facts; None for all."""
    relations: list[str] | None = None
    """Relations, if ``facts`` are all of theirs."""
    tau: float | None = None
    share: float | None = None
    """Thresholds for reselecting neurons from the raw scores; if both are None, the stored
    knowledge neurons are counted."""
    finished: bool = True
    """Whether the run is finished; before, it has raw scores only."""

    @property
    def population(self) -> int:
        """Neurons in all layers of the model."""
        return self.n_layers * self.n_neurons

    @property
    def refined(self) -> bool:
        """Whether neurons are reselected from the raw scores."""
        return self.tau is not None or self.share is not None or not self.finished


@dataclass(frozen=True)
class Counts:
    """Facts, in any order, and the neurons shared by at least two of their languages."""

    fact_ids: Ints
    """``(facts,)``"""
    sizes: Ints
    """``(facts, langs)``: number of knowledge neurons of the fact in each language."""
    n_union: Ints
    """``(facts,)``: number of knowledge neurons in any language."""
    shared_fact: Ints
    """``(shared,)``: for each neuron shared by at least two languages, the index of its fact."""
    shared_cell: Ints
    """``(shared,)``: the neuron, as ``layer * n_neurons + index``."""
    shared_langs: Ints
    """``(shared,)``: its languages as bits; the first language is the lowest bit."""


def count_shared(connection: duckdb.DuckDBPyConnection, scope: Scope) -> Counts:
    """Count the knowledge neurons in ``scope``. Facts without any are left out."""
    chosen = scope.facts is not None  # looking facts up in threads mixes the rows of a few
    counts = _count(connection, scope, in_order=scope.refined or chosen)
    ids = np.sort(counts.fact_ids)
    if np.any(ids[1:] == ids[:-1]):  # the rows of some fact are not contiguous
        return _count(connection, scope, in_order=True)
    return counts


def chosen_facts(
    facts: list[int] | None, relations: list[str] | None
) -> tuple[str, dict[str, Any]]:
    """The SQL condition for a choice of facts, and its parameters.

    Many ids take long to hand over; if they are all of some relations, DuckDB finds them itself.
    """
    if relations is not None:
        return OF_FACTS["relations"], {"relations": relations}
    return ("true", {}) if facts is None else (OF_FACTS["facts"], {"facts": facts})


def rows_sql(scope: Scope, columns: str) -> tuple[str, dict[str, Any]]:
    """SQL that selects ``columns`` of the knowledge neurons in ``scope``, and its parameters."""
    params: dict[str, Any] = {"run": scope.run_id}
    source, conditions = "knowledge_neuron", ["run_id = $run"]
    if scope.refined:
        source = f"({REFINED if scope.facts is None else REFINED_OF_FACTS})"
        params |= {"runs": [scope.run_id], "tau": scope.tau, "share": scope.share}
    if scope.facts is not None and scope.refined:
        params["facts"] = scope.facts
    chosen, its_params = chosen_facts(scope.facts, scope.relations)
    conditions.append(chosen)
    params |= its_params
    if scope.only_these_langs:
        conditions.append("list_contains($langs, lang)")
    if "$langs" in (sql := f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)}"):
        params["langs"] = list(scope.langs)
    return sql, params


def _count(connection: duckdb.DuckDBPyConnection, scope: Scope, *, in_order: bool) -> Counts:
    columns = (
        f"fact_id, CAST(layer AS INTEGER) * {scope.n_neurons} + neuron AS cell, "
        "CAST(list_position($langs, lang) AS UTINYINT) AS lang"
    )
    sql, params = rows_sql(scope, columns)
    reader = connection.execute(sql + " ORDER BY fact_id" * in_order, params).to_arrow_reader(
        _BATCH_ROWS
    )
    with ThreadPoolExecutor(THREADS) as pool:  # NumPy releases the interpreter lock
        done = list(pool.map(partial(_count_inside, scope), reader))
    parts = [counts for counts, _ in done if counts is not None]
    if edges := [rows for _, cut in done for rows in cut]:
        rows = _stacked(edges)
        parts.append(_count_rows(scope, rows, rows[0][1:] != rows[0][:-1]))
    return _joined(parts, len(scope.langs))


def _count_inside(scope: Scope, batch: pa.RecordBatch) -> tuple[Counts | None, list[Rows]]:
    """Count all facts but the first and last, whose rows may continue in other batches.

    The rows of those two facts are returned as copies, so that the batch can be freed.
    """
    facts, cells, langs = (column.to_numpy() for column in batch.columns)
    changes = facts[1:] != facts[:-1]
    begin = end = 0
    if changes.any():
        begin, end = int(changes.argmax()) + 1, len(changes) - int(changes[::-1].argmax())
    cut = [slice(0, begin), slice(end, None)]
    edges = [(facts[rows].copy(), cells[rows].copy(), langs[rows].copy()) for rows in cut]
    if begin == end:
        return None, edges
    inside = slice(begin, end)
    rows = facts[inside], cells[inside], langs[inside]
    return _count_rows(scope, rows, changes[begin : end - 1]), edges


def _stacked(held: list[Rows]) -> Rows:
    facts, cells, langs = (np.concatenate(column) for column in zip(*held, strict=True))
    return facts, cells, langs


def _count_rows(scope: Scope, rows: Rows, changes: Bools) -> Counts:
    """Count complete facts with contiguous rows; ``changes`` marks the last row of each fact."""
    fact_ids, cells, langs = rows
    n_langs = len(scope.langs)
    ends = np.flatnonzero(changes | (langs[1:] != langs[:-1]))
    begins = np.append(0, ends + 1)
    lengths = np.diff(begins, append=len(langs))  # of stretches of one fact and language
    new_fact = np.append(True, changes[ends])
    lang_bits, cell_bits = n_langs.bit_length(), scope.population.bit_length()
    n_facts = int(np.count_nonzero(new_fact))
    kind = np.int32 if n_facts << cell_bits + lang_bits < 2**31 else np.int64
    fact: Ints = np.cumsum(new_fact) - 1
    sizes = _sizes(fact, langs[begins], lengths, n_langs, n_facts)
    keys: Ints = np.repeat((fact << cell_bits + lang_bits).astype(kind), lengths)
    keys |= np.left_shift(cells, lang_bits, dtype=kind)
    keys |= langs
    keys.sort()
    neurons, shared_langs = _shared(keys, lang_bits)
    fact = neurons >> cell_bits
    repeats = np.bincount(fact, weights=np.bitwise_count(shared_langs) - 1, minlength=n_facts)
    return Counts(
        fact_ids[begins[new_fact]],
        sizes,
        sizes.sum(axis=1) - repeats.astype(np.int64),
        fact,
        neurons & ((1 << cell_bits) - 1),
        shared_langs,
    )


def _sizes(fact: Ints, lang: NDArray[np.uint8], lengths: Ints, n_langs: int, n_facts: int) -> Ints:
    """``(facts, langs)``: rows of each fact and language, summed over stretches of rows."""
    slots = n_langs + 1  # languages count from 1
    sizes = np.bincount(fact * slots + lang, weights=lengths, minlength=n_facts * slots)
    return sizes.astype(np.int64).reshape(-1, slots)[:, 1:]


def _shared(keys: Ints, lang_bits: int) -> tuple[Ints, Ints]:
    """Neurons (fact and cell) that occur more than once in the sorted keys, with language bits."""
    mask = keys.dtype.type((1 << lang_bits) - 1)
    pairs = np.flatnonzero((keys[1:] ^ keys[:-1]) <= mask)  # these differ only in language
    if not pairs.size:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    begins = np.flatnonzero(np.append(True, np.diff(pairs) != 1))
    first, second = keys[pairs], keys[pairs + 1]
    # Languages are numbered from 1 in the keys and from bit 0 in the result.
    one = np.int64(1)
    bits = (one << (first & mask)) | (one << (second & mask))
    shared_langs = np.bitwise_or.reduceat(bits, begins) >> 1
    return (first[begins] >> lang_bits).astype(np.int64), shared_langs


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
