"""Searches a stored run for degenerate neurons, fact by fact, committing in batches.

A search is identified by its run and settings. Facts and languages that it already covers are
skipped, so an interrupted search resumes where it stopped, a finished one has nothing to do, and a
search over a few facts can be extended. What counts as degenerate is decided in ``criterion``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kndb.crew.placement import Placement, check_placement
from kndb.degenerate.criterion import Criterion
from kndb.degenerate.rows import Outcome, search_tables
from kndb.degenerate.summary import SearchSummary, summarise_search
from kndb.degenerate.work import Searching
from kndb.errors import UsageError
from kndb.model_runs import engine_and_run
from kndb.models import ModelChoice
from kndb.progress import Report, silent
from kndb.store.commits import Batches
from kndb.store.database import check_writable
from kndb.store.lookup import Names
from kndb.store.runs import StoredRun
from kndb.store.searches import SearchWriter, facts_to_search

COMMIT_FACTS = 200
"""Most fact-languages between commits."""


@dataclass(frozen=True)
class SearchRequest(Placement):
    """What to search, and with which model; where this runs, see :class:`Placement`.

    Attributes:
        database: path of the database.
        model: which model, and how to load it.
        run: a run's id or its first digits; None for the model's newest finished run.
        criterion: which sets to search, and what counts as degenerate.
        top: number of knowledge neurons to search per fact and language, the strongest first.
        fact: a key, a prompt or words of the subject; None for all facts.
        relation: a relation's id or label; None for all.
        langs: a language, or several; empty for all.
        limit: at most this many facts; None for all.
        seed: seed for sampling facts and the control's random neurons.
    """

    database: Path
    model: ModelChoice
    run: str | None = None
    criterion: Criterion = field(default_factory=Criterion)
    top: int = 20
    fact: Names | None = None
    relation: Names | None = None
    langs: Names = ()
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: ``top`` is below 2, or ``limit`` below 1, or the model cannot run there.
        """
        super().__post_init__()
        if self.top < 2:
            raise UsageError(f"A set has at least 2 neurons; --top {self.top} was given.")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"The limit must be at least 1 fact; {self.limit} was given.")
        check_placement(self)

    def search_settings(self, run: StoredRun) -> dict[str, Any]:
        """The settings that distinguish this search from others of the same run."""
        return {
            **asdict(self.criterion),
            "top": self.top,
            "seed": self.seed,
            "dtype": self.model.dtype,
            "tau": run.tau,
            "share": run.share,
        }


def find_degenerate(request: SearchRequest, progress: Report = silent) -> SearchSummary:
    """Search a run's facts for degenerate sets of knowledge neurons, and store what is found.

    Raises:
        NotFound: there is no such run, fact or relation.
        UsageError: an option is invalid, or the model is not the run's.
        ModelError: the model cannot be loaded.
        DatabaseError: the database cannot be opened.
        KndbError: the workers died, and their replacements too.
        KeyboardInterrupt: the search was interrupted; finished work has been stored.
    """
    started = time.monotonic()
    check_writable(request.database)
    with engine_and_run(request) as (engine, run):
        facts = facts_to_search(
            request.database,
            run.run_id,
            fact=request.fact,
            relation=request.relation,
            langs=request.langs,
            limit=request.limit,
            seed=request.seed,
        )
        writer = SearchWriter(request.database, run.run_id, request.search_settings(run))
        begun = writer.begin()
        left = [fact for fact in facts if fact.key not in begun.done]
        if left or not begun.finished:  # killed after the last fact, it is still running
            work = Searching(request.criterion, request.top, request.seed, request.model.memory)
            outcomes = engine.run(work, left)
            _store(writer, run.run_id, outcomes, len(facts) - len(left), len(facts), progress)
    seconds = time.monotonic() - started
    asked = frozenset(fact.key for fact in facts)
    return summarise_search(
        request.database, writer.search_id, run, asked, len(left), seconds, engine.workers
    )


def _store(
    writer: SearchWriter,
    run_id: int,
    outcomes: Iterable[Outcome],
    done: int,
    total: int,
    progress: Report,
) -> None:
    """Commit outcomes in batches; on an interrupt or error, commit those at hand first."""
    writer.mark("running")
    progress(done, total)

    def commit(batch: Sequence[Outcome]) -> None:
        writer.append(*search_tables(writer.search_id, run_id, batch))

    try:
        with Batches(commit, items=COMMIT_FACTS) as batches:
            for number, outcome in enumerate(outcomes, done + 1):
                batches.add(outcome)
                progress(number, total)
    except BaseException:
        writer.mark("interrupted")
        raise
    writer.mark("finished")
