"""Questions to a database of a thousand million attribution rows, against one of a million.

    kndb demo --db demo.duckdb
    python benchmarks/rows.py demo.duckdb --rows 1000000000 --folder DIR

The rows are copies of one real run, so that they are distributed as a real run's: of each copy all
facts have other ids and subjects, of nine copies in turn other relations, and its neurons are
shifted by the same distance within their layers. They are written copy after copy, sorted by
prompt within some copies, as batches of an ingest are. A copy of the file is sorted as
``kndb db optimize`` does, and asked the same. Each question is a process of its own, the best of
``--repeats``. A file that exists is not made anew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kndb.store.database import connect
from kndb.store.rewriting import optimize

COPIES_TOGETHER = 50
"""Inserted by one statement, and sorted within."""

SHIFTED = "CAST((neuron + c * 7919) % n_neurons AS INTEGER) AS neuron"
ID = "CAST(hash({}, c) >> 1 AS BIGINT)"
DIVIDED = 9
"""Relations made of each of the demo's four: 36, where ParaRel has 34 and mParaRel 38."""
RELATION = f"relation_id || if(c % {DIVIDED} = 0, '', '.' || c % {DIVIDED})"

ONCE = ("model", "dataset", "relation", "run")
"""Tables that are taken as they are."""

FILL = {
    "fact": f"""
        SELECT * EXCLUDE (c)
               REPLACE ({ID.format("fact_id")} AS fact_id, {RELATION} AS relation_id,
                        {RELATION} || ':' || subject_id || '.' || c AS fact_key)
        FROM old.fact, copies ORDER BY fact_id""",
    "prompt": f"""
        SELECT * EXCLUDE (c)
               REPLACE ({ID.format("prompt_id")} AS prompt_id, {ID.format("fact_id")} AS fact_id,
                          subject || ' ' || c AS subject, text || ' ' || c AS text,
                          plain_subject || ' ' || c AS plain_subject)
        FROM old.prompt, copies ORDER BY fact_id, prompt_id""",
    "prediction": f"""
        SELECT * EXCLUDE (c) REPLACE ({ID.format("prompt_id")} AS prompt_id)
        FROM old.prediction, copies WHERE run_id = getvariable('run') ORDER BY c, prompt_id""",
    "attribution": f"""
        SELECT * EXCLUDE (c, n_neurons)
               REPLACE ({ID.format("prompt_id")} AS prompt_id, {SHIFTED})
        FROM old.attribution, copies, width WHERE run_id = getvariable('run')
        ORDER BY c, prompt_id, layer, neuron""",
    "knowledge_neuron": f"""
        SELECT * EXCLUDE (c, n_neurons)
               REPLACE ({ID.format("fact_id")} AS fact_id, {SHIFTED})
        FROM old.knowledge_neuron, copies, width WHERE run_id = getvariable('run')
        ORDER BY c, fact_id, lang, layer, neuron""",
}


def make(base: Path, path: Path, rows: int) -> None:
    """Copy the base's largest run until there are this many attribution rows."""
    connect(path, write=True, create=True).close()
    with duckdb.connect(path) as connection:
        connection.execute(f"ATTACH '{base}' AS old (READ_ONLY)")
        run_id, n = connection.execute(
            "SELECT run_id, count(*) FROM old.attribution GROUP BY ALL ORDER BY count(*) DESC"
        ).fetchall()[0]
        connection.execute(f"SET VARIABLE run = {run_id}")
        connection.execute(
            "CREATE TEMP TABLE width AS SELECT n_neurons FROM old.model JOIN old.run USING "
            "(model_id) WHERE run_id = getvariable('run')"
        )
        for table in ONCE:
            only = " WHERE run_id = getvariable('run')" if table == "run" else ""
            connection.execute(f"INSERT INTO {table} BY NAME FROM old.{table}{only}")
        connection.execute(
            f"INSERT INTO relation SELECT {RELATION}, label || ' ' || c "
            f"FROM old.relation, range(1, {DIVIDED}) AS part(c)"
        )
        copies = max(1, round(rows / n))
        for first in range(0, copies, COPIES_TOGETHER):
            last = min(first + COPIES_TOGETHER, copies)
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE copies AS "
                f"SELECT range AS c FROM range({first}, {last})"
            )
            for table, select in FILL.items():
                connection.execute(f"INSERT INTO {table} BY NAME {select}")
            print(f"\r{last:,} of {copies:,} copies", end="", file=sys.stderr, flush=True)
        connection.execute(
            "INSERT INTO knowledge_by_neuron BY NAME FROM knowledge_neuron "
            "ORDER BY run_id, layer, neuron, fact_id, lang"
        )
        print(file=sys.stderr)


QUESTIONS = {
    "one fact": "query --fact {fact}",
    "one fact, another tau": "query --fact {fact} --tau 0.3",
    "one neuron": "query --neuron {neuron} --limit 20",
    "an answer": "query --answer {answer} --limit 20",
    "facts with a word": "facts {word} --limit 20",
    "facts of a relation": "facts --relation P36 --limit 20",
    "relations": "relations",
    "languages": "languages",
    "neurons of a layer": "neurons --layer 1 --limit 20",
    "runs": "runs",
    "overlap in a relation": "graph overlap --relation P36 --by relation",
    "overlap of languages": "graph overlap --by language-pair",
    "SQL, neurons by language": "sql 'SELECT lang, count(*) FROM knowledge_neuron GROUP BY lang'",
}
RUN = """
import atexit, re, sys
from kndb_cli.main import main

peak = r"VmHWM:\\s*(\\d+)"
atexit.register(lambda: print(*re.findall(peak, open("/proc/self/status").read()), file=sys.stderr))
sys.exit(main())
"""


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    seconds: float
    cpu: float
    mib: float


def ask(path: Path, command: str) -> Cost:
    """Ask in a process of its own, its output thrown away.

    Raises:
        RuntimeError: it failed.
    """
    arguments = [sys.executable, "-c", RUN, *shlex.split(command), "--db", str(path), "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"kndb {command}: {said.decode()}")
    peak = int(said.split()[-1]) / 1024  # not ru_maxrss, which counts the process that started it
    return Cost(time.perf_counter() - begun, used.ru_utime + used.ru_stime, peak)


def subjects(path: Path) -> dict[str, str]:
    """A fact, a neuron and so on that the file has, from its middle."""
    with connect(path) as connection:
        key, answer, subject, cell = connection.execute("""
            SELECT fact_key, answer, subject, layer || ':' || neuron
            FROM prompt JOIN fact USING (fact_id) JOIN knowledge_neuron USING (fact_id)
            WHERE fact_key LIKE 'P36:%' AND prompt.lang = 'en'
            ORDER BY fact_key, prompt_id, layer, neuron LIMIT 1
        """).fetchall()[0]
    return {
        "fact": key,
        "answer": shlex.quote(answer),
        "word": shlex.quote(subject),
        "neuron": cell,
    }


def table(paths: list[tuple[str, Path]], repeats: int) -> None:
    """Print what each question costs, a column for each file."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # this stays small
        names = {path: pool.submit(subjects, path).result() for _, path in paths}
    print("| | " + " | ".join(f"{label}, s (cpu, MiB)" for label, _ in paths) + " |")
    print("|---" * (len(paths) + 1) + "|")
    for label, command in QUESTIONS.items():
        cells = []
        for _, path in paths:
            asked = command.format(**names[path])
            best = min((ask(path, asked) for _ in range(repeats)), key=lambda cost: cost.seconds)
            cells.append(f"{best.seconds:.2f} ({best.cpu:.2f}, {best.mib:.0f})")
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", type=Path, help="a database with a real run")
    parser.add_argument("--rows", type=int, default=1_000_000_000)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    paths = []
    for rows in (1_000_000, args.rows):
        path = args.folder / f"rows-{rows}.duckdb"
        if not path.exists():
            begun = time.perf_counter()
            make(args.base, path, rows)
            taken, size = time.perf_counter() - begun, path.stat().st_size
            print(f"{rows:,} rows made in {taken:.0f} s, {size / rows:.1f} bytes a row")
        paths.append((f"{rows:,} rows", path))
    ordered = path.with_stem(f"{path.stem}-sorted")
    if not ordered.exists():
        shutil.copy(path, ordered)
        begun = time.perf_counter()
        optimize(ordered)
        print(f"sorted in {time.perf_counter() - begun:.0f} s")
    paths.append(("sorted", ordered))
    table(paths, args.repeats)


if __name__ == "__main__":
    main()
