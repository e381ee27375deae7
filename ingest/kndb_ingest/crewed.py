"""An engine whose model runs in a crew of workers, wherever these are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kndb.attribution import Settings
from kndb.facts import Prompt
from kndb.models import LanguageModel
from kndb.models.base import ModelInfo
from kndb_ingest.outcomes import find_outcomes
from kndb_ingest.request import IngestRequest
from kndb_ingest.rows import Rows
from kndb_ingest.scheduling import Crew, Part, Pool, cut


@dataclass(frozen=True)
class Loaded:
    """A worker that has loaded the model."""

    name: str
    info: ModelInfo
    adapter: str


@dataclass(frozen=True)
class Kept:
    """What of a request decides which prompts are attributed, and what is kept of them."""

    known: int | None
    words: bool
    every_score: bool

    @classmethod
    def of(cls, request: IngestRequest) -> Kept:
        """That of a request."""
        return cls(request.known, request.words, request.every_score)


def rows_of_part(
    model: LanguageModel[Any], part: Part, settings: Settings, memory: int | None, kept: Kept
) -> Rows:
    """Run a part's prompts in a worker.

    Raises:
        UsageError: this model cannot be run with these settings.
        ModelError: a single prompt does not fit in memory.
    """
    found = find_outcomes(model, part, settings, memory, kept.known, words=kept.words)
    # One prompt's scores at a time.
    return Rows.joined([Rows.of([each], every_score=kept.every_score) for each in found])


class ModelPool(Pool[Rows], Protocol):
    """A pool whose workers hold a model.

    Attributes:
        loaded: the workers that were ready at some time.
        prompts: how many each has handled, by its name.
        settings: what parts are run with from now on.
    """

    loaded: dict[int, Loaded]
    prompts: Counter[str]
    settings: Settings | None


class Crewed:
    """An engine (``engines.Engine``) whose model runs in the workers of a pool.

    Raises:
        KndbError: no worker got ready, or one refused its work.
    """

    def __init__(self, pool: ModelPool, size: int) -> None:
        self._pool = pool
        self._size = size
        self._crew = Crew[Rows](pool, size)
        self._crew.wait_for_one()
        first = next(iter(pool.loaded.values()))
        self.info = first.info
        self.adapter = first.adapter
        self.workers: Mapping[str, int] = pool.prompts

    def rows(self, prompts: Mapping[int, Prompt], settings: Settings) -> Iterator[Rows]:
        """Run prompts, as ``Engine`` says; yield the rows of a part at a time."""
        self._pool.settings = settings
        return self._crew.results(cut(prompts, self._size))
