"""Rows of ``neuron_overlap``: sums, probabilities and notes from counts of shared neurons.

It counts nothing itself and stores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from kndb.graph.chance import (
    Floats,
    Ints,
    benjamini_hochberg,
    count_discoveries,
    expected_shared,
    pooled_p_value,
    shared_p_values,
)
from kndb.graph.overlap.compared import Compared, lang_places
from kndb.graph.overlap.counts import THREADS, Bools, rows_sql

if TYPE_CHECKING:
    import pyarrow as pa

SIGNIFICANT = 0.05
"""A fact with a q-value up to this counts as significant."""


def fact_rows(connection: duckdb.DuckDBPyConnection, compared: Compared) -> pa.Table:
    """One row per fact."""
    comparable = compared.comparable
    with ThreadPoolExecutor(1) as pool:  # NumPy releases the interpreter lock
        described = pool.submit(_described, compared)
        n_shared = np.where(comparable, compared.n_shared(compared.done), 0)
        expected, p_values = _chances(compared, n_shared)
    return _table(
        compared,
        "fact",
        {
            "fact_id": compared.fact_ids,
            **described.result(),
            "n_facts": comparable.astype(np.int64),
            "n_shared": n_shared,
            "n_union": compared.n_union,
            "jaccard": _share(n_shared, np.where(comparable, compared.n_union, 0)),
            "expected": expected,
            "p_value": p_values,
            "q_value": benjamini_hochberg(p_values),
        },
    )


def _chances(compared: Compared, n_shared: Ints) -> tuple[Floats, Floats]:
    """Expected overlap and p-value of each fact over its own languages; NaN if it has only one."""
    expected = np.full(len(n_shared), np.nan)
    p_values = np.full(len(n_shared), np.nan)
    for langs in compared.combinations:
        if langs.bit_count() < 2:
            continue
        facts = _chosen(compared.done == langs)
        sizes = compared.sizes_of(facts, langs)
        expected[facts] = expected_shared(compared.scope.population, sizes)
        p_values[facts] = shared_p_values(compared.scope.population, sizes, n_shared[facts])
    return expected, p_values


def _chosen(facts: Bools) -> Ints | slice:
    """An index that selects the true facts; a slice if all are, to avoid a copy."""
    return slice(None) if facts.all() else np.flatnonzero(facts)


def _share(part: Ints, whole: Ints) -> Floats:
    share = np.full(len(part), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _described(compared: Compared) -> dict[str, Any]:
    """Languages, sizes and notes, worked out once per combination of languages and gaps."""
    import pyarrow as pa

    langs = compared.scope.langs
    empty = np.zeros_like(compared.done)
    for place, size in enumerate(compared.sizes.T):
        empty |= (size == 0).astype(np.int64) << place
    empty &= compared.done
    kinds = [
        (done, int(without))
        for done in compared.combinations
        for without in np.unique(empty[_chosen(compared.done == done)])
    ]
    names = [_names(langs, done) for done, _ in kinds]
    notes = [_note(langs, done, without) for done, without in kinds]
    kind = _kinds(compared.done, empty, kinds)
    ends = np.cumsum(np.append(0, np.bitwise_count(compared.done).astype(np.int64)))
    return {
        "langs": pa.array([",".join(each) for each in names], pa.string()).take(pa.array(kind)),
        "n_langs": np.bitwise_count(compared.done).astype(np.int32),
        "sizes": pa.LargeListArray.from_arrays(ends, _asked_sizes(compared)),
        "note": pa.array(notes, pa.string()).take(pa.array(kind)),
    }


def _asked_sizes(compared: Compared) -> Ints:
    """Sizes in the languages in which each fact was run, fact by fact."""
    n_langs = len(compared.scope.langs)
    if compared.combinations == [(1 << n_langs) - 1]:
        return compared.sizes.ravel()
    asked: Bools = compared.done[:, None] >> np.arange(n_langs) & 1 == 1
    return compared.sizes[asked]


def _kinds(done: Ints, empty: Ints, kinds: list[tuple[int, int]]) -> Ints:
    """``(facts,)``: the index of each fact's kind in ``kinds``."""
    kind = np.zeros(len(done), dtype=np.int64)
    for number, (langs, without) in enumerate(kinds[1:], start=1):
        kind[(done == langs) & (empty == without)] = number
    return kind


def _names(langs: tuple[str, ...], bits: int) -> list[str]:
    return [langs[place] for place in lang_places(bits)]


def _note(langs: tuple[str, ...], done: int, empty: int) -> str | None:
    notes = []
    if int(done).bit_count() == 0:
        notes.append("in none of the languages")
    elif int(done).bit_count() == 1:
        notes.append("one language only")
    if empty:
        notes.append(f"no neurons in {', '.join(_names(langs, empty))}")
    if done and (missing := _names(langs, ~int(done) & (1 << len(langs)) - 1)):
        notes.append(f"not asked in {', '.join(missing)}")
    return "; ".join(notes) or None


def pair_rows(connection: duckdb.DuckDBPyConnection, compared: Compared) -> pa.Table:
    """One row per pair of languages, summed over the facts run in both."""
    langs = compared.scope.langs
    pairs = [1 << a | 1 << b for a, b in combinations(range(len(langs)), 2)]
    with ThreadPoolExecutor(THREADS) as pool:  # NumPy releases the interpreter lock
        rows = list(pool.map(partial(_pair_row, compared), pairs))
    return _table(compared, "language-pair", _columns(rows))


def _pair_row(compared: Compared, bits: int) -> dict[str, Any]:
    """Sums over the facts run in both languages of ``bits``."""
    facts = _chosen(compared.done & bits == bits)
    sizes = compared.sizes_of(facts, bits)
    n_shared = compared.n_shared_by(bits)[facts]
    return _sums(
        _names(compared.scope.langs, bits),
        sizes,
        int(sizes.sum() - n_shared.sum()),
        n_shared,
        expected_shared(compared.scope.population, sizes),
        shared_p_values(compared.scope.population, sizes, n_shared),
        "no fact was asked in both",
    )


def relation_rows(connection: duckdb.DuckDBPyConnection, compared: Compared) -> pa.Table:
    """One row per relation, summed over its facts with at least two languages."""
    relation = _relations(connection, compared.fact_ids)
    n_shared = np.where(compared.comparable, compared.n_shared(compared.done), 0)
    expected, p_values = _chances(compared, n_shared)
    shared = _shared_by_facts(connection, compared)
    rows = []
    for relation_id in np.unique(relation):
        of_relation = relation == relation_id
        facts = np.flatnonzero(of_relation & compared.comparable)
        row = _sums(
            compared.scope.langs,
            compared.sizes[facts],
            int(compared.n_union[facts].sum()),
            n_shared[facts],
            expected[facts],
            p_values[facts],
        )
        row["relation_id"] = relation_id
        row["shared_by_facts"], row["shared_by_facts_expected"] = _between_facts(
            compared.sizes[of_relation], shared.get(relation_id, 0.0), compared.scope.population
        )
        rows.append(row)
    return _table(compared, "relation", _columns(rows))


def _relations(connection: duckdb.DuckDBPyConnection, fact_ids: Ints) -> Any:
    """``(facts,)``: the relation id of each fact."""
    import pyarrow as pa

    connection.register("asked_facts", pa.table({"fact_id": fact_ids}))
    found = connection.execute(
        "SELECT relation_id FROM asked_facts JOIN fact USING (fact_id) ORDER BY fact_id"
    ).fetchall()
    return np.array([relation_id for (relation_id,) in found])


def _sums(
    langs: list[str] | tuple[str, ...],
    sizes: Ints,
    union: int,
    n_shared: Ints,
    expected: Floats,
    p_values: Floats,
    nothing: str = "one language only",
) -> dict[str, Any]:
    """Sums over facts. ``sizes`` is ``(facts, langs)``; ``nothing`` is the note if it is empty."""
    shared, mean = int(n_shared.sum()), float(expected.sum())
    return {
        "langs": ",".join(langs),
        "n_langs": len(langs),
        "n_facts": len(n_shared),
        "sizes": [int(size.sum()) for size in sizes.T],
        "n_shared": shared,
        "n_union": union,
        "jaccard": shared / union if union else None,
        "expected": mean if len(n_shared) else None,
        "p_value": pooled_p_value(shared, mean) if len(n_shared) else None,
        "n_significant": count_discoveries(p_values, SIGNIFICANT),
        "note": None if len(n_shared) else nothing,
    }


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    p_values = np.array([np.nan if p is None else p for p in columns["p_value"]])
    return columns | {"q_value": benjamini_hochberg(p_values)}


_SHARED_BY_FACTS = """
    SELECT relation_id, sum(n * (n - 1) / 2)
    FROM (
        SELECT relation_id, count(*) AS n FROM ({source}) JOIN fact USING (fact_id)
        GROUP BY relation_id, lang, layer, neuron
    )
    GROUP BY relation_id
"""
"""Per relation, the neurons that two facts share in one language, summed over pairs of facts."""


def _shared_by_facts(connection: duckdb.DuckDBPyConnection, compared: Compared) -> dict[str, float]:
    source, params = rows_sql(compared.scope, "fact_id, lang, layer, neuron")
    sql = _SHARED_BY_FACTS.format(source=source)
    return dict(connection.execute(sql, params).fetchall())


def _between_facts(
    sizes: Ints, shared: float, population: int
) -> tuple[float | None, float | None]:
    """The mean number of neurons that two facts share in one language, and the mean expected.

    Over all pairs of facts with neurons in it, and all languages. Of random sets of the same sizes,
    ``size * size' / population`` are expected to be shared.

    Args:
        sizes: ``(facts, langs)``
        shared: the sum over all pairs.
        population: neurons of the model.
    """
    n_facts = np.count_nonzero(sizes, axis=0)
    n_pairs = float((n_facts * (n_facts - 1) / 2).sum())
    if not n_pairs:
        return None, None
    expected = (sizes.sum(axis=0) ** 2 - (sizes**2).sum(axis=0)) / 2 / population
    return shared / n_pairs, float(expected.sum()) / n_pairs


def _table(compared: Compared, level: str, columns: Mapping[str, Any]) -> pa.Table:
    """A table with the columns of ``neuron_overlap``; missing ones are null."""
    import pyarrow as pa

    schema = _schema(pa)
    n_rows = len(columns["n_shared"])
    fixed = {
        "run_id": pa.repeat(compared.scope.run_id, n_rows),
        "level": pa.repeat(level, n_rows),
    }
    given = {**fixed, **columns}
    nothing = pa.nulls(n_rows)
    arrays = [_array(pa, given.get(field.name, nothing), field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(pa: Any, values: Any, kind: Any) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind)
    return pa.array(values, kind, from_pandas=True)  # NaN becomes null


def _schema(pa: Any) -> pa.Schema:
    kinds = {
        "run_id": pa.int64(),
        "level": pa.string(),
        "relation_id": pa.string(),
        "fact_id": pa.int64(),
        "langs": pa.string(),
        "n_langs": pa.int32(),
        "n_facts": pa.int64(),
        "sizes": pa.list_(pa.int64()),
        "n_shared": pa.int64(),
        "n_union": pa.int64(),
        "jaccard": pa.float64(),
        "expected": pa.float64(),
        "p_value": pa.float64(),
        "q_value": pa.float64(),
        "n_significant": pa.int64(),
        "shared_by_facts": pa.float64(),
        "shared_by_facts_expected": pa.float64(),
        "note": pa.string(),
    }
    return pa.schema(list(kinds.items()))
