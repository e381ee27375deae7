"""What ``kndb ingest --keep all`` stores: bytes a score, and what a question costs.

    python benchmarks/every_score.py --prompts 1000

The run is made up: a model of BERT-base's size, whose scores are drawn from those that the demo
model really has. They go through the writer in batches as those of an ingest. ``--layouts``
compares other layouts of the same scores, 128 prompts of them, in DuckDB alone. Times are of the
processor, the best of five.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import kndb
from kndb.facts import Fact, Prompt
from kndb.store import ids
from kndb.store.sandbox import run_apart
from kndb.store.score_folder import scores_folder, size_of_run
from kndb.store.score_parts import write_part
from kndb.store.writer import Writer
from kndb_ingest.pipeline import _most_prompts
from kndb_ingest.rows import ATTRIBUTIONS, PREDICTIONS, SCORES

LAYERS, NEURONS = 12, 3072
REPEATS = 5


class Model(NamedTuple):
    """BERT-base's size."""

    name: str = "made-up"
    revision: str | None = None
    architecture: str = "bert"
    family: str = "masked_lm"
    n_layers: int = LAYERS
    n_neurons: int = NEURONS
    weights_sha256: str = "made-up"


class Data(NamedTuple):
    name: str = "made-up"
    format: str = "kndb"
    sha256: str = "made-up"


def real_scores() -> Any:
    """Scores of some prompts of the demo, one after another."""
    found = kndb.attribute(kndb.load_model("demo-masked"), PAIRS)
    return np.concatenate([each.scores.ravel() for each in found])


PAIRS = [
    (f"The {what} of {country} is [MASK].", answer)
    for what, answers in (
        ("capital", ("Paris", "Rome", "Madrid", "Tokyo")),
        ("currency", ("euro", "euro", "euro", "yen")),
    )
    for country, answer in zip(("France", "Italy", "Spain", "Japan"), answers, strict=True)
]


def drawn(real: Any, prompts: int, seed: int = 0) -> Any:
    """Scores ``(prompts, layers * neurons)``, each at random from real ones."""
    return np.random.default_rng(seed).choice(real, (prompts, LAYERS * NEURONS))


def make(path: Path, real: Any, n: int) -> tuple[int, float]:
    """A run of n prompts; its id, and the processor seconds of writing it."""
    facts = [Fact("P36", f"Q{number}", "Q90") for number in range(n)]
    prompts = [Prompt(fact, "en", "[X] is in [Y].", fact.subject_id, "Paris") for fact in facts]
    keys = [ids.prompt_id(ids.dataset_id(Data().sha256), prompt) for prompt in prompts]
    writer, seconds = Writer(path), 0.0
    run = writer.begin(Model(), Data(), [], facts, prompts, "amig", {"keep": "all"}).run_id
    size = _most_prompts(Model())  # type: ignore[arg-type]
    for first in range(0, n, size):
        some = keys[first : first + size]
        flat = drawn(real, len(some), first).ravel()
        ends = np.arange(0, len(flat) + 1, LAYERS * NEURONS, dtype=np.int32)
        scores = pa.table([some, pa.ListArray.from_arrays(ends, flat)], schema=SCORES)
        done = [{"prompt_id": key, "status": "done"} for key in some]
        start = time.process_time()
        predictions = pa.Table.from_pylist(done, schema=PREDICTIONS)
        writer.append(run, predictions, ATTRIBUTIONS.empty_table(), scores=scores)
        seconds += time.process_time() - start
    start = time.process_time()
    writer.finish(run, 0.2, 0.5)
    return run, seconds + time.process_time() - start


def best(ask: Callable[[], object]) -> float:
    """Milliseconds of processor time, those of processes that ended included."""
    times = []
    for _ in range(REPEATS):
        start = _processor_seconds()
        ask()
        times.append(_processor_seconds() - start)
    return 1000 * min(times)


def _processor_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


QUESTIONS = {
    "open": "SELECT 1",
    "a prompt, all its scores": "SELECT layer, neuron, score FROM score WHERE prompt_id = {prompt}",
    "a prompt, its 10 best": "SELECT layer, neuron, score FROM score WHERE prompt_id = {prompt} "
    "ORDER BY score DESC LIMIT 10",
    "a neuron, all prompts": "SELECT prompt_id, score FROM score WHERE layer = 5 AND neuron = 1234",
    "each neuron's mean": "SELECT layer, neuron, avg(score) FROM score GROUP BY ALL",
    "neurons above 0.3 of a prompt's best": "SELECT count(*) FROM score JOIN (SELECT prompt_id, "
    "max(score) AS best FROM score GROUP BY ALL) USING (prompt_id) WHERE score > 0.3 * best",
}


def questions(path: Path) -> None:
    """In this process, with the database open, and in a process as that of ``kndb sql``."""
    with kndb.open(path) as db:
        ((prompt,),) = db.sql("SELECT max(prompt_id) FROM prompt").rows()
        asked = {name: sql.format(prompt=prompt) for name, sql in QUESTIONS.items()}
        here = {name: best(lambda sql=sql: db.sql(sql)) for name, sql in asked.items()}  # type: ignore[misc]
    print("| | ms in Python | ms by `kndb sql` |\n|---|---|---|")
    for name, sql in asked.items():
        apart = best(lambda sql=sql: run_apart(path, sql))  # type: ignore[misc]
        print(f"| {name} | {here[name]:,.1f} | {apart:,.0f} |")


def layouts(folder: Path, real: Any, n: int = 128) -> None:
    """The same scores in several layouts; long ones have a row for each neuron."""
    scores = drawn(real, n).reshape(n, LAYERS, NEURONS)
    keys = np.sort(np.random.default_rng(0).integers(0, 2**63 - 1, n))
    part = write_part(folder / "x", 7, keys, scores.swapaxes(0, 1))
    chosen = scores_folder(folder / "x") / part.file
    made = {
        "long, layer after layer (chosen)": (chosen, LONG),
        "long, prompt after prompt": (_sorted(chosen, folder, "prompt_id, layer, neuron"), LONG),
        "long, neuron after neuron": (_sorted(chosen, folder, "layer, neuron, prompt_id"), LONG),
        "lists of a prompt and layer, by prompt": (_lists(folder, keys, scores, False), LISTS),
        "lists of a prompt and layer, by layer": (_lists(folder, keys, scores, True), LISTS),
    }
    print("| | bytes a score | a prompt's sum, ms | a neuron, ms |\n|---|---|---|---|")
    with duckdb.connect(config={"threads": 2}) as connection:
        for name, (file, select) in made.items():
            relation = f"({select.format(file=file)})"
            where = f"prompt_id = {keys[n // 2]}", "layer = 5 AND neuron = 1234"
            times = [
                best(lambda sql=f"SELECT sum(score) FROM {relation} WHERE {each}": (  # type: ignore[misc]
                    connection.execute(sql).fetchall()
                ))
                for each in where
            ]  # fmt: skip
            size = file.stat().st_size / scores.size
            print(f"| {name} | {size:.2f} | {times[0]:.1f} | {times[1]:.1f} |")


LONG = "FROM read_parquet('{file}')"
LISTS = (
    "SELECT prompt_id, layer, unnest(range(len(scores)))::INTEGER AS neuron, "
    "unnest(scores) AS score FROM read_parquet('{file}')"
)
_PAGES = {"max_rows_per_page": 2**16, "data_page_size": 2**18}


def _sorted(chosen: Path, folder: Path, order: str) -> Path:
    """The chosen part in another order, otherwise written alike."""
    file = folder / f"{order}.parquet"
    keys = [(name, "ascending") for name in order.split(", ")]
    pq.write_table(
        pq.read_table(chosen).sort_by(keys),
        file,
        row_group_size=21 * NEURONS,
        compression="zstd",
        use_dictionary=[
            "run_id",
            "prompt_id",
            "layer",
            *(["neuron"] if "prompt" in keys[2] else []),
        ],
        column_encoding={"score": "BYTE_STREAM_SPLIT"},
        **_PAGES,
    )
    return file


def _lists(folder: Path, keys: Any, scores: Any, by_layer: bool) -> Path:
    file = folder / f"lists-{by_layer}.parquet"
    prompts, layers = np.repeat(keys, LAYERS), np.tile(np.arange(LAYERS, dtype=np.int16), len(keys))
    order = np.lexsort((prompts, layers)) if by_layer else np.arange(len(prompts))
    values = scores.reshape(-1, NEURONS)[order].ravel()
    ends = np.arange(0, len(values) + 1, NEURONS, dtype=np.int32)
    columns = {
        "prompt_id": prompts[order],
        "layer": layers[order],
        "scores": pa.ListArray.from_arrays(ends, values),
    }
    pq.write_table(
        pa.table(columns),
        file,
        row_group_size=21,
        compression="zstd",
        use_dictionary=["prompt_id", "layer"],
        column_encoding={"scores.list.element": "BYTE_STREAM_SPLIT"},
    )
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--layouts", action="store_true")
    given = parser.parse_args()
    real = real_scores()
    with tempfile.TemporaryDirectory() as folder:
        if given.layouts:
            layouts(Path(folder), real)
            return
        path = Path(folder, "scores.duckdb")
        run, seconds = make(path, real, given.prompts)
        n, size = given.prompts * LAYERS * NEURONS, size_of_run(path, run)
        parts = len(list((scores_folder(path) / str(run)).iterdir()))
        print(f"{n:,} scores in {parts} parts, {size:,} bytes: {size / n:.2f} a score")
        speed = n / seconds / 1e6
        print(f"written in {seconds:.1f} s of processor time: {speed:.1f} million scores a second")
        questions(path)


if __name__ == "__main__":
    main()
