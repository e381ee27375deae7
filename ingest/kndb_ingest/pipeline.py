"""The ingestion pipeline: runs a fact set through a model and stores the results in batches.

Model, data and settings identify a run. Prompts that the run already has are skipped, so an
interrupted run continues where it stopped, and a finished one has nothing left to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from kndb.attribution import Attribution, Settings, attribute, preset
from kndb.errors import KndbError
from kndb.facts import Prompt
from kndb.models import LanguageModel, ModelChoice
from kndb.progress import Report, silent
from kndb.store import ids
from kndb.store.commits import Batches
from kndb.store.refine import DEFAULT_SHARE, DEFAULT_TAU, check_thresholds
from kndb.store.writer import Run, Writer
from kndb_ingest.datasets import Dataset, dataset_facts, read_dataset
from kndb_ingest.demo import facts_path
from kndb_ingest.prompts import prompt_problem
from kndb_ingest.rows import PREDICTIONS, attribution_rows, failed, predicted, skipped
from kndb_ingest.summary import IngestSummary, summarise

Outcome = tuple[int, Attribution | str]
"""A prompt's id, and its attribution or the reason it was skipped."""


COMMIT_PROMPTS = 1000
"""Most prompts between commits."""


@dataclass(frozen=True)
class IngestRequest:
    """A request to ingest a fact set: data, model, database and settings.

    Attributes:
        database: the database's path; created if it does not exist.
        model: the model, and how it is loaded.
        dataset: a folder or file, or ``demo`` for the embedded one.
        preset: name of the attribution preset.
        langs: languages to take; all when empty.
        relations: relations to take; all when empty.
        limit: number of facts.
        templates: number of templates per relation and language.
        seed: seed of the draw of facts.
        tau: share of a prompt's highest score above which a neuron is selected.
        share: share of a fact's prompts in which a knowledge neuron is selected.
        tolerance: largest relative error of the scores; the preset's when None.
        max_nodes: most nodes of a path, refinement included; the preset's when None.
    """

    database: Path
    model: ModelChoice
    dataset: str
    preset: str = "amig"
    langs: Sequence[str] = ()
    relations: Sequence[str] = ()
    limit: int | None = None
    templates: int | None = None
    seed: int = 0
    tau: float = DEFAULT_TAU
    share: float = DEFAULT_SHARE
    tolerance: float | None = None
    max_nodes: int | None = None

    def run_settings(self, settings: Settings) -> dict[str, Any]:
        """The settings that distinguish this run from others of the same model and data.

        Device and memory are not among them, nor are thresholds, which apply to stored scores.
        """
        return {
            "preset": self.preset,
            **settings.as_dict(),
            "dtype": self.model.dtype,
            "langs": sorted(self.langs),
            "relations": sorted(self.relations),
            "limit": self.limit,
            "templates": self.templates,
            "seed": self.seed if self.limit is not None else None,
        }


def ingest(request: IngestRequest, progress: Report = silent) -> IngestSummary:
    """Run a fact set through a model and store the neurons of every prompt.

    Raises:
        DatasetError: the data cannot be read.
        ModelError: the model cannot be loaded.
        UsageError: an option is wrong.
        DatabaseError: the database cannot be opened.
        KeyboardInterrupt: after storing the finished prompts.
    """
    started = time.monotonic()
    check_thresholds(request.tau, request.share)
    dataset = read_dataset(
        facts_path() if request.dataset == "demo" else request.dataset,
        langs=request.langs,
        relations=request.relations,
        limit=request.limit,
        templates=request.templates,
        seed=request.seed,
    )
    model = request.model.load()
    settings = preset(request.preset, model.info.family).changed(
        tolerance=request.tolerance, max_nodes=request.max_nodes
    )
    writer = Writer(request.database)
    run = writer.begin(
        model.info,
        dataset,
        dataset.relations,
        dataset_facts(dataset),
        dataset.prompts,
        request.preset,
        request.run_settings(settings),
    )
    left = _prompts_left(dataset, run)
    outcomes = _outcomes(model, left, settings, request.model.memory)
    _store(writer, run, outcomes, len(left), progress)
    if run.status != "finished" or (run.tau, run.share) != (request.tau, request.share):
        writer.finish(run.run_id, request.tau, request.share)
    seconds = time.monotonic() - started
    return summarise(request.database, run.run_id, model.adapter, len(left), seconds)


def _prompts_left(dataset: Dataset, run: Run) -> dict[int, Prompt]:
    data = ids.dataset_id(dataset.sha256)
    by_id = {ids.prompt_id(data, prompt): prompt for prompt in dataset.prompts}
    return {key: prompt for key, prompt in by_id.items() if key not in run.done}


def _outcomes(
    model: LanguageModel[Any], prompts: dict[int, Prompt], settings: Settings, memory: int | None
) -> Iterator[Outcome]:
    """For each prompt, its attribution or the reason it was skipped."""
    usable = []
    for key, prompt in prompts.items():
        problem = prompt_problem(prompt)
        if problem:
            yield key, problem
        else:
            usable.append(key)
    for found in attribute(model, (prompts[key] for key in usable), settings, memory=memory):
        yield usable[found.index], found if found.failed else found.reason or found


def _store(
    writer: Writer, run: Run, outcomes: Iterable[Outcome], left: int, progress: Report
) -> None:
    """Commit outcomes in batches; on an interrupt or error, commit those at hand first."""
    total = len(run.done) + left
    done = len(run.done)
    progress(done, total)
    try:
        with Batches[Outcome](partial(_commit, writer, run), items=COMMIT_PROMPTS) as batches:
            for number, outcome in enumerate(outcomes, done + 1):
                batches.add(outcome)
                progress(number, total)
    except BaseException:
        with suppress(KndbError):  # such as a full disk: the first error is the one to report
            writer.mark(run.run_id, "interrupted")
        raise


def _commit(writer: Writer, run: Run, batch: Sequence[Outcome]) -> None:
    rows = [_prediction(*each) for each in batch]
    found = [
        (key, outcome)
        for key, outcome in batch
        if not isinstance(outcome, str) and not outcome.failed
    ]
    predictions = pa.Table.from_pylist(rows, schema=PREDICTIONS)
    writer.append(run.run_id, predictions, attribution_rows(found))


def _prediction(key: int, outcome: Attribution | str) -> dict[str, object]:
    if isinstance(outcome, str):
        return skipped(key, outcome)
    return failed(key, outcome.reason) if outcome.failed else predicted(key, outcome)
