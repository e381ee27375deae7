"""How fast a run is written, against DuckDB's ``INSERT … SELECT`` from Parquet of the same rows.

    python benchmarks/rows.py demo.duckdb --rows 20000000 --folder DIR
    python benchmarks/writing.py DIR/rows-20000000.duckdb --prompts 100000

The rows are those of a stored run. The writer gets them as an ingest gives them: in batches of
``COMMIT_PROMPTS`` prompts, each a transaction of its own. DuckDB gets one statement for each of the
two tables, and a checkpoint. Both start from a file with the run and its facts.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from kndb.store.database import connect
from kndb.store.writer import Writer
from kndb_ingest.pipeline import COMMIT_PROMPTS

TABLES = ("prediction", "attribution")


def begun(source: Path, path: Path, folder: Path, n: int) -> int:
    """A file like the source but without results, and ``n`` prompts' results as Parquet."""
    connect(path, write=True, create=True).close()
    with duckdb.connect(path) as connection:
        connection.execute(f"ATTACH '{source}' AS old (READ_ONLY)")
        for table in ("model", "dataset", "relation", "run", "fact", "prompt"):
            connection.execute(f"INSERT INTO {table} BY NAME FROM old.{table}")
        connection.execute(f"CREATE TEMP TABLE taken AS FROM old.prediction LIMIT {n}")
        for table in TABLES:
            connection.execute(
                f"COPY (FROM old.{table} SEMI JOIN taken USING (run_id, prompt_id)) "
                f"TO '{folder / table}.parquet'"
            )
        ((run_id,),) = connection.execute("SELECT run_id FROM taken LIMIT 1").fetchall()
        return int(run_id)


def batches(folder: Path) -> list[tuple[Any, Any]]:
    """Arrow tables as an ingest hands them to the writer."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    predictions, attributions = (pq.read_table(folder / f"{table}.parquet") for table in TABLES)
    predictions, attributions = (t.drop_columns("run_id") for t in (predictions, attributions))
    found = []
    for first in range(0, len(predictions), COMMIT_PROMPTS):
        some = predictions.slice(first, COMMIT_PROMPTS)
        wanted = pc.is_in(attributions["prompt_id"], some["prompt_id"].combine_chunks())
        found.append((some, pa.table(attributions.filter(wanted))))
    return found


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty.duckdb"
        run_id = begun(options.source, empty, folder, options.prompts)
        given = batches(folder)
        rows = sum(len(attributions) for _, attributions in given)
        for turn in range(options.repeats):
            ours, plain = folder / f"ours-{turn}.duckdb", folder / f"plain-{turn}.duckdb"
            shutil.copy(empty, ours)
            shutil.copy(empty, plain)
            start = time.process_time()
            for predictions, attributions in given:
                Writer(ours).append(run_id, predictions, attributions)
            wrote = time.process_time() - start
            start = time.process_time()
            with duckdb.connect(plain) as connection:
                for table in TABLES:
                    connection.execute(
                        f"INSERT INTO {table} BY NAME FROM '{folder / table}.parquet'"
                    )
                connection.execute("CHECKPOINT")
            inserted = time.process_time() - start
            print(
                f"{rows:,} rows in {len(given)} batches: {rows / wrote / 1e6:.2f} million in a "
                f"second of processor time; DuckDB {rows / inserted / 1e6:.2f}; ratio "
                f"{inserted / wrote:.2f}"
            )
            ours.unlink()
            plain.unlink()


if __name__ == "__main__":
    main()
