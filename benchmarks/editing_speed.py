"""Time and memory of many edits from a file, compared with one.

    kndb ingest --model demo-masked --dataset demo --limit 400 --db demo.duckdb
    OMP_NUM_THREADS=1 python benchmarks/editing_speed.py demo-masked --db demo.duckdb --edits 500

Each edit is measured on its fact's prompts in every language and on 50 unrelated facts, before and
after, and again with random neurons. The edits go through the function behind
``kndb edit --file``, with its ledger, on a copy of the database. Times are processor seconds, so
that other work on the machine does not count; memory is resident memory (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from kndb.edit.batch import edit
from kndb.edit.jobs_file import count_edits, read_edits
from kndb.edit.plan import EditSettings
from kndb.edit.request import EditRequest, EditSummary
from kndb.models import ModelChoice
from kndb.models.places import EMBEDDED_MODELS
from kndb.store.database import connect

WINDOW = 20
"""Number of edits compared at the start, the middle and the end."""

SINGLE = 5
"""How often one edit is made on its own."""


def rewrites(database: Path, n: int, seed: int) -> list[dict[str, str]]:
    """Facts in a random order, repeatedly, each time with another object of the relation."""
    sql = """
        SELECT fact_key, relation_id, min(answer) FROM prompt JOIN fact USING (fact_id)
        WHERE lang = 'en' GROUP BY ALL ORDER BY fact_key
    """
    with connect(database) as connection:
        facts = connection.execute(sql).fetchall()
    random.Random(seed).shuffle(facts)
    edits = []
    for number in range(n):
        key, relation, answer = facts[number % len(facts)]
        others = sorted({a for _, r, a in facts if r == relation and a != answer})
        random.Random(key).shuffle(others)
        target = others[number // len(facts)]
        edits.append({"fact": key, "target": target, "target_lang": "en"})
    return edits


def resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watch:
    """Processor seconds and memory after each edit."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.mebibytes: list[float] = []

    def __call__(self, done: int, total: int) -> None:
        self.seconds.append(time.process_time())
        self.mebibytes.append(resident())
        if done and done % 50 == 0:
            print(f"  {done} of {total}: {self.mebibytes[-1]:.0f} MiB", flush=True)

    def each(self) -> list[float]:
        return [b - a for a, b in zip(self.seconds, self.seconds[1:], strict=False)]


def run(
    model: str, database: Path, edits: Sequence[dict[str, str]], watch: Watch
) -> tuple[EditSummary, float]:
    """Make the edits on a copy of the database; return the summary and total processor time."""
    with TemporaryDirectory() as folder:
        copy, file = Path(folder) / "k.duckdb", Path(folder) / "edits.jsonl"
        shutil.copyfile(database, copy)
        file.write_text("\n".join(map(json.dumps, edits)), encoding="utf-8")
        start = time.process_time()
        settings = EditSettings("erase")  # each line has a target, which makes it an update
        jobs, total = read_edits(file, settings), count_edits(file)
        summary = edit(EditRequest(copy, ModelChoice(model, device="cpu")), jobs, total, watch)
        return summary, time.process_time() - start


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=EMBEDDED_MODELS)
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    edits = rewrites(options.db, options.edits, options.seed)
    run(options.model, options.db, edits[:1], Watch())  # imports, once
    alone = median(run(options.model, options.db, edits[:1], Watch())[1] for _ in range(SINGLE))
    watch = Watch()
    summary, total = run(options.model, options.db, edits, watch)
    each, memory = watch.each(), watch.mebibytes
    first, last = median(each[:WINDOW]), median(each[-WINDOW:])
    half = len(each) // 2
    print(
        f"{summary.made} edits made, {summary.known} known, {sum(summary.skipped.values())} skipped"
        f"\none edit alone, model loaded for it: {alone:.2f} s"
        f"\none edit of the first {WINDOW}: {first:.3f} s; of the last {WINDOW}: {last:.3f} s, "
        f"{last / first:.2f} times"
        f"\nall: {total:.1f} s, {total / alone:.0f} times one alone, "
        f"{total / first:.0f} times one of the first {WINDOW}"
        f"\nresident after {WINDOW}: {memory[WINDOW]:.0f} MiB, half: {memory[half]:.0f}, "
        f"all: {memory[-1]:.0f}"
    )


if __name__ == "__main__":
    main()
