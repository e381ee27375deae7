"""Overlap of 10 million knowledge neurons in four languages, compared with a plain GROUP BY.

    python benchmarks/overlap.py [--rows 10000000] [--db FILE]

The table is synthetic: 20 knowledge neurons for each fact and language, in a model with 12 layers
of 3072 neurons; four of them are the same in every language. A fact has one finished prompt in each
language. The plain query is ``SELECT lang, count(*) FROM knowledge_neuron GROUP BY lang``, on a
connection that is open and warm. Overlap is timed from the open connection to finished rows: shared
and expected neurons, p-values and q-values. Each figure is the best of several runs; the ratio is
of wall times.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from kndb.graph.overlap.answer import answer, overlap
from kndb.graph.overlap.request import OverlapBy, Request
from kndb.store.database import connect

LANGS = ("en", "es", "fr", "zh")
RUN_ID = 1
NEURONS = 20
"""Knowledge neurons per fact and language."""
SHARED = 4
"""The number of these that are the same in every language."""
TARGET_RATIO, TARGET_GB = 10.0, 4.0

FILL = """
    CREATE TEMP TABLE facts AS
        SELECT n, CAST(hash(n) >> 1 AS BIGINT) AS id FROM range({facts}) t(n);
    CREATE TEMP TABLE langs AS SELECT unnest({langs}) AS lang;
    INSERT INTO model VALUES (1, 'synthetic', '', 'none', 'masked_lm', 12, 3072, '');
    INSERT INTO dataset VALUES (1, 'synthetic', 'none', '');
    INSERT INTO relation VALUES ('P36', 'capital');
    INSERT INTO fact SELECT id, 1, 'P36', 'Q' || n, 'Q0', 'P36:Q' || n FROM facts ORDER BY ALL;
    INSERT INTO prompt SELECT CAST(hash(n, lang) >> 1 AS BIGINT), id, lang, '[X] [Y]', 'x [MASK]',
        'a', 'x', 'x', 'a' FROM facts, langs ORDER BY id, lang;
    INSERT INTO run BY NAME SELECT 1 AS run_id, 1 AS model_id, 1 AS dataset_id, 'amig' AS preset,
        '{{}}' AS settings, 'finished' AS status, 0.2 AS tau, 0.5 AS share,
        now()::TIMESTAMP AS started_at, now()::TIMESTAMP AS finished_at, '0' AS kndb_version;
    INSERT INTO prediction BY NAME SELECT 1 AS run_id, prompt_id, 'done' AS status
        FROM prompt ORDER BY prompt_id;
    INSERT INTO knowledge_neuron SELECT DISTINCT ON (id, lang, layer, neuron) * FROM (
        SELECT 1, id, lang, CAST(cell // 3072 AS SMALLINT) AS layer,
               CAST(cell % 3072 AS INTEGER) AS neuron, 1.0, 1.0
        FROM (
            SELECT id, lang,
                   (hash(n, j, CASE WHEN j < {shared} THEN '' ELSE lang END)) % 36864 AS cell
            FROM facts, langs, range({neurons}) t(j)
        )
    ) ORDER BY id, lang, layer, neuron;
    CHECKPOINT;
"""


def make(path: Path, rows: int) -> None:
    facts = rows // (NEURONS * len(LANGS))
    with connect(path, write=True, create=True) as connection:
        for statement in FILL.format(
            facts=facts, langs=list(LANGS), neurons=NEURONS, shared=SHARED
        ).split(";"):
            if statement.strip():
                connection.execute(statement)


def best(do: Callable[[], object], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        do()
        times.append(time.perf_counter() - begun)
    return min(times)


BY: tuple[OverlapBy, ...] = ("fact", "language-pair")


def request(by: OverlapBy) -> Request:
    return Request(by, [RUN_ID], None, None, None, None, None, {})


def measure(path: Path) -> bool:
    with connect(path) as connection:
        ((rows, facts),) = connection.execute(
            "SELECT count(*), (SELECT count(*) FROM fact) FROM knowledge_neuron"
        ).fetchall()
        print(f"{rows:,} rows, {facts:,} facts, languages {', '.join(LANGS)}")
        plain = best(lambda: group_by(connection))
        print(f"plain GROUP BY            {plain:7.3f} s")
        ratios = {}
        for by in BY:
            asked = request(by)
            taken = best(partial(answer, connection, asked, RUN_ID))
            ratios[by] = taken / plain
            print(f"overlap by {by:13}  {taken:7.3f} s  {ratios[by]:5.1f} x")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"memory so far             {peak:7.2f} GB")
    for by in BY:
        taken = best(partial(overlap, path, by), 1)
        print(f"whole command by {by:13}{taken:6.2f} s, with rows stored and returned")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory               {peak:7.2f} GB")
    met = max(ratios.values()) < TARGET_RATIO and peak < TARGET_GB
    print(f"target: under {TARGET_RATIO:g} x and {TARGET_GB:g} GB: {'met' if met else 'NOT met'}")
    return met


def group_by(connection: duckdb.DuckDBPyConnection) -> object:
    return connection.execute(
        "SELECT lang, count(*) FROM knowledge_neuron GROUP BY lang"
    ).fetchall()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--db", type=Path, help="keep the synthetic database here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.db or Path(folder, "overlap.duckdb")
        if not path.exists():
            make(path, args.rows)
        return 0 if measure(path) else 1


if __name__ == "__main__":
    sys.exit(main())
