"""What an ingestion would cost, from a small sample of its prompts. Stores nothing."""

from __future__ import annotations

import math
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev
from typing import Any, NamedTuple

import torch

from kndb.attribution import Settings, attribute
from kndb.facts import Prompt
from kndb.models import LanguageModel, Unusable
from kndb.models.asking import Asker
from kndb.progress import Report, silent
from kndb.store.catalogue import run_id_of
from kndb.store.database import connect_as_it_is, has_tables
from kndb.store.prompts import settled_prompts
from kndb_ingest.pipeline import prompts_left
from kndb_ingest.prompts import prompt_problem
from kndb_ingest.request import IngestRequest
from kndb_ingest.rows import raw_scores

ASKED = 256
"""Prompts asked to find the share that the model knows."""

BATCH = 4
"""Prompts of like length attributed together, as neighbours in a real run are."""

MOST_BATCHES, ENOUGH_SECONDS = 16, 15.0
"""The sample ends at either, after two batches at least."""

FILE_BYTES, ROW_BYTES, PROMPT_BYTES = 4_500_000, 8, 250
"""Disk of an empty database, of an attribution row, and of a prompt with its prediction
(``benchmarks/RESULTS.md``, "Disk")."""

WORD_NUMBERS = 1.2
"""Disk of a stored word beside its sums by layer, in numbers of 8 bytes: measured on half a million
with the words of the demo."""


SCORE_BYTES = 3.7
"""Disk of a score where all are kept (``benchmarks/RESULTS.md``, "Every score")."""


class Estimate(NamedTuple):
    """A number and its 95 % interval, from the sample's spread."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Plan:
    """An ingestion in figures, before it is run.

    Attributes:
        model: the model's name.
        adapter: what runs it.
        dataset: the data set's name.
        facts: facts with at least one usable prompt.
        prompts: by language, usable prompts.
        skipped: by reason, prompts that cannot be asked.
        stored: prompts that the run already has, which are not counted above.
        asked: prompts asked to find the share that the model knows; 0 without ``known``.
        known: share of these whose answer is within the rank; 1 without ``known``.
        sampled: prompts attributed to measure.
        attributed: prompts that would be attributed.
        rows: attribution rows that would be stored.
        seconds: time, without loading the model.
        memory: most bytes of memory used so far, model included; None where it is not known.
        disk: bytes that would be added to the database and beside it.
        prompt_seconds: time of one usable prompt, whether it is attributed or only asked.
        scores: bytes of ``disk`` that are beside the database, for the score of every neuron; 0
            if not all are kept.
    """

    model: str
    adapter: str
    dataset: str
    facts: int
    prompts: Mapping[str, int]
    skipped: Mapping[str, int]
    stored: int
    asked: int
    known: float
    sampled: int
    attributed: int
    rows: int
    seconds: Estimate
    memory: int | None
    disk: int
    prompt_seconds: float
    scores: int = 0


class _Sample(NamedTuple):
    prompts: int
    seconds: Sequence[float]  # of a prompt, batch by batch
    rows: float  # of a prompt
    words: float  # of a prompt, where they are stored


def plan(request: IngestRequest, progress: Report = silent) -> Plan:
    """Estimate prompts, rows, time, memory and disk of an ingestion.

    All prompts are tokenized; ``ASKED`` of them are asked if only known ones are to be attributed,
    and a few batches are attributed.

    Args:
        request: the ingestion.
        progress: called with the prompts attributed so far, and the most of them.

    Raises:
        DatasetError: the data cannot be read.
        ModelError: the model cannot be loaded.
        UsageError: an option is wrong.
        DatabaseError: the database cannot be opened.
    """
    request.check()
    dataset, model = request.data, request.model.load()
    settings = request.settings(model.info.family)
    run_id = run_id_of(model.info, dataset, request.run_settings(settings))
    left = prompts_left(dataset, _settled(request, run_id), request.part)
    usable, skipped = _sorted_out(model, list(left.values()))
    asked, known, asking = _ask(model, usable, request)
    drawn = usable if request.known is None else known
    sample = _attribute(model, drawn, settings, request, progress)
    share = len(known) / asked if asked else 1.0
    attributed = round(share * len(usable))
    rows = round(sample.rows * attributed)
    population = model.info.n_layers * model.info.n_neurons
    scores = round(SCORE_BYTES * population * attributed) if request.every_score else 0
    each = fmean(sample.seconds or [0.0])
    return Plan(
        model=model.info.name,
        adapter=model.adapter,
        dataset=dataset.name,
        facts=len({prompt.fact for prompt in usable}),
        prompts=dict(sorted(Counter(prompt.lang for prompt in usable).items())),
        skipped=dict(skipped.most_common()),
        stored=len(dataset.prompts) - len(left),
        asked=asked,
        known=share,
        sampled=sample.prompts,
        attributed=attributed,
        rows=rows,
        seconds=_seconds(sample.seconds, attributed, asking * len(usable)),
        memory=_memory(model),
        disk=_disk(request, rows, len(left))
        + round(attributed * sample.words * 8 * (model.info.n_layers + WORD_NUMBERS))
        + scores,
        scores=scores,
        prompt_seconds=asking + share * each,
    )


def _settled(request: IngestRequest, run_id: int) -> frozenset[int]:
    if not has_tables(request.database):
        return frozenset()
    with connect_as_it_is(request.database) as connection:
        return settled_prompts(connection, run_id)


def _sorted_out(
    model: LanguageModel[Any], prompts: Sequence[Prompt]
) -> tuple[list[Prompt], Counter[str]]:
    """Usable prompts, in the order in which batches are formed, and reasons for the others."""
    usable, skipped = [], Counter[str]()
    for prompt in prompts:
        reason = prompt_problem(prompt)
        if reason is None:
            try:
                targets = model.targets(prompt.text, prompt.answer)
                usable.append(((len(targets), len(targets[-1].tokens)), prompt))
            except Unusable as unusable:
                reason = str(unusable)
        if reason is not None:
            skipped[reason] += 1
    return [prompt for _, prompt in sorted(usable, key=lambda pair: pair[0])], skipped


def _ask(
    model: LanguageModel[Any], usable: Sequence[Prompt], request: IngestRequest
) -> tuple[int, list[Prompt], float]:
    """How many prompts were asked, those that are known, and the seconds of a prompt."""
    if request.known is None:
        return 0, [], 0.0
    chosen = sorted(random.Random(request.seed).sample(range(len(usable)), min(ASKED, len(usable))))
    asked = [usable[index] for index in chosen]
    start = time.monotonic()
    answers = Asker(model, request.model.memory, shared_prefix=True).ask(
        [(prompt.text, prompt.answer) for prompt in asked]
    )
    seconds = (time.monotonic() - start) / max(len(asked), 1)
    known = [
        prompt
        for prompt, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, str) and answer.rank <= request.known
    ]
    return len(asked), known, seconds


def _attribute(
    model: LanguageModel[Any],
    prompts: Sequence[Prompt],
    settings: Settings,
    request: IngestRequest,
    progress: Report,
) -> _Sample:
    """Attribute batches of neighbours, until there are enough."""
    seconds, rows, words, done = [], [], [], 0
    run = partial(
        attribute, model, settings=settings, memory=request.model.memory, words=request.words
    )
    list(run(prompts[:1]))  # the first is slower than others
    start = time.monotonic()
    for number, batch in enumerate(_batches(prompts), 1):
        if number > 2 and time.monotonic() - start > ENOUGH_SECONDS:
            break
        began = time.monotonic()
        for found in run(batch):
            words.append(len(found.words))
            rows.append(len(raw_scores(found.scores)[0]) if found.reason is None else 0)
        seconds.append((time.monotonic() - began) / len(batch))
        done += len(batch)
        progress(done, min(len(prompts), MOST_BATCHES * BATCH))
    return _Sample(done, seconds, fmean(rows or [0]), fmean(words or [0]))


def _batches(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    """Stretches of neighbours at random, none twice."""
    starts = list(range(0, len(prompts), BATCH))
    random.Random(0).shuffle(starts)
    for start in starts[:MOST_BATCHES]:
        yield prompts[start : start + BATCH]


def _seconds(sample: Sequence[float], attributed: int, asking: float) -> Estimate:
    """Time of all prompts, with 1.96 standard errors of the batches' mean to either side."""
    if not sample:
        return Estimate(asking, asking, asking)
    mean = fmean(sample)
    error = 1.96 * stdev(sample) / math.sqrt(len(sample)) if len(sample) > 1 else 0.0
    value, low, high = (asking + attributed * each for each in (mean, mean - error, mean + error))
    return Estimate(value, max(low, asking), high)


def _disk(request: IngestRequest, rows: int, prompts: int) -> int:
    new = 0 if request.database.exists() else FILE_BYTES
    return new + rows * ROW_BYTES + prompts * PROMPT_BYTES


def _memory(model: LanguageModel[Any]) -> int | None:
    if model.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(model.device))
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)
