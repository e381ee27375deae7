"""The ingestion pipeline: runs a fact set through a model and stores the results in batches.

Model, data and settings identify a run. Prompts that the run already has are skipped, so an
interrupted run continues where it stopped, and a finished one has nothing left to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from kndb.crew.engines import started
from kndb.errors import KndbError
from kndb.facts import Prompt
from kndb.models.base import ModelInfo
from kndb.progress import Report, silent
from kndb.store import ids
from kndb.store.commits import Batches
from kndb.store.shards import Shard
from kndb.store.writer import Run, Writer
from kndb_ingest.attributing import Attributing
from kndb_ingest.datasets import Dataset, dataset_facts
from kndb_ingest.directions import check_directions, store_directions
from kndb_ingest.request import IngestRequest
from kndb_ingest.rows import Rows
from kndb_ingest.summary import IngestSummary, summarise

COMMIT_PROMPTS = 8000
"""Most prompts between commits, which a job makes every few seconds in any case
(``commits.COMMIT_SECONDS``). Batches of 1,000 took twice the time (``benchmarks/writing.py``)."""

COMMIT_SCORES = 2**23
"""Most scores between commits where all are kept: 32 MiB."""


def ingest(request: IngestRequest, progress: Report = silent) -> IngestSummary:
    """Run a fact set through a model and store the neurons of every prompt.

    Raises:
        KndbError: the workers of a cluster died, and their replacements too.
        DatasetError: the data cannot be read.
        ModelError: the model cannot be loaded.
        UsageError: an option is wrong.
        DatabaseError: the database cannot be opened.
        KeyboardInterrupt: after storing the finished prompts.
    """
    start = time.monotonic()
    request.check()
    dataset = request.data
    writer = Writer(request.database)
    with started(request) as engine:
        if request.directions:
            check_directions(engine)
        settings = request.settings(engine.info.family)
        run = writer.begin(
            engine.info,
            dataset,
            dataset.relations,
            dataset_facts(dataset),
            dataset.prompts,
            request.preset,
            request.run_settings(settings),
            request.part,
        )
        left = prompts_left(dataset, run.done, request.part)
        work = Attributing(
            settings, request.model.memory, request.known, request.words, request.every_score
        )
        found = engine.run(work, list(left.items()))
        most = _most_prompts(engine.info) if request.every_score else COMMIT_PROMPTS
        _store(writer, run, found, len(left), progress, most)
        if run.status != "finished" or (run.tau, run.share) != (request.tau, request.share):
            covered = run.with_finished(request.part)
            writer.finish(run.run_id, request.tau, request.share, covered)
        handled = engine.workers
        if request.directions:
            store_directions(engine, request.database, run.run_id)
    seconds = time.monotonic() - start
    return summarise(request.database, run.run_id, engine.adapter, len(left), seconds, handled)


def prompts_left(
    dataset: Dataset, settled: frozenset[int], shard: Shard | None = None
) -> dict[int, Prompt]:
    """The data set's prompts, or those of a shard, by their ids, without those that are settled."""
    data = ids.dataset_id(dataset.sha256)
    by_id = {
        ids.prompt_id(data, prompt): prompt
        for prompt in dataset.prompts
        if shard is None or shard.has(ids.fact_id(data, prompt.fact))
    }
    return {key: prompt for key, prompt in by_id.items() if key not in settled}


def _most_prompts(model: ModelInfo) -> int:
    """How many prompts with all their scores are kept in memory before they are written."""
    return min(COMMIT_PROMPTS, max(1, COMMIT_SCORES // (model.n_layers * model.n_neurons)))


def _store(
    writer: Writer, run: Run, found: Iterator[Rows], left: int, progress: Report, most: int
) -> None:
    """Commit rows in batches; on an interrupt or error, commit those at hand first.

    Prompts that turn out to need no attribution leave the total: they say nothing of the time left.
    """
    total = len(run.done) + left
    done = len(run.done)
    progress(done, total)
    try:
        with Batches[Rows](partial(_commit, writer, run), items=most, count=len) as batches:
            for rows in found:
                batches.add(rows)
                done += rows.attributed
                total -= len(rows) - rows.attributed
                progress(done, total)
    except BaseException:
        with suppress(KndbError):  # such as a full disk: the first error is the one to report
            writer.mark(run.run_id, "interrupted")
        raise


def _commit(writer: Writer, run: Run, batch: Sequence[Rows]) -> None:
    rows = Rows.joined(batch)
    writer.append(run.run_id, rows.predictions, rows.attributions, rows.words, rows.scores)
