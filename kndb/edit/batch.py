"""Makes edits over a stored run, one after the other, and keeps them in the ledger.

The model is loaded once and is as before after each edit. An edit is made of run, fact and
settings; those in the ledger are left alone, so an interrupted batch can be continued.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from kndb.edit.intervention import EditOutcome, Interventions
from kndb.edit.ledger import append, ledger_row
from kndb.edit.plan import EditSettings, Plan, plan_edit
from kndb.edit.request import EditRequest, EditSummary, Job
from kndb.errors import NotFinite, NotFound, UsageError
from kndb.model_runs import model_and_run
from kndb.progress import Report, silent
from kndb.store.commits import Batches
from kndb.store.database import check_writable, connect
from kndb.store.edit_source import EditSource
from kndb.store.edits import edit_id_of
from kndb.store.readonly import reading

PLANNED_TOGETHER = 50
"""Edits planned with the file open once, and the most between commits."""

T = TypeVar("T")


def edit(
    request: EditRequest,
    jobs: Iterable[Job | str],
    total: int,
    progress: Report = silent,
) -> EditSummary:
    """Make edits one by one, measure each, and write them into the ledger.

    Among several edits, those that cannot be made are stored as skipped, with the reason. A single
    edit that cannot be made stores nothing.

    Args:
        request: where, and with what.
        jobs: the edits; a text instead of an edit is the reason why it cannot be made.
        total: how many there are, for the progress.
        progress: called after each edit.

    Raises:
        NotFound: no such run; or, of a single edit, no such fact.
        UsageError: an option is wrong, or the model is not the run's.
        ModelError: the model cannot be loaded.
        DatabaseError: the database cannot be opened.
        KeyboardInterrupt: after storing what was done.
    """
    started = time.monotonic()
    if not request.dry_run:
        check_writable(request.database)
    model, run = model_and_run(request)
    interventions = Interventions(model, request.model.folder)
    summary = EditSummary(run.run_id, model.info.name)
    outcomes = _Outcomes(request, interventions, summary, strict=total == 1)
    _store(request, iter(jobs), outcomes, total, progress)
    summary.seconds = time.monotonic() - started
    return summary


class _Planned(NamedTuple):
    """An edit that is left to be made."""

    edit_id: int
    plan: Plan
    settings: EditSettings


class _Outcomes:
    """Plans and makes edits, and counts what became of them."""

    def __init__(
        self,
        request: EditRequest,
        interventions: Interventions,
        summary: EditSummary,
        *,
        strict: bool,
    ) -> None:
        self.request = request
        self.interventions = interventions
        self.summary = summary
        self.strict = strict
        self.run = {
            "run_id": summary.run_id,
            "weights_sha256": interventions.model.info.weights_sha256,
        }

    def planned(self, source: EditSource, jobs: Iterable[Job | str]) -> list[_Planned | None]:
        """What to do for each job; None where nothing is left to do."""
        return [self._skipping(partial(self._plan, source, job)) for job in jobs]

    def made(self, planned: _Planned) -> EditOutcome | None:
        """Make an edit; None where there is nothing to store."""
        return self._skipping(partial(self._make, planned))

    def _skipping(self, work: Callable[[], T | None]) -> T | None:
        """What the work returns; None, and counted, where the edit cannot be made."""
        try:
            return work()
        except (NotFound, UsageError, NotFinite) as error:
            if self.strict:
                raise
            self.summary.skipped[str(error)] += 1
            return None

    def _plan(self, source: EditSource, job: Job | str) -> _Planned | None:
        if isinstance(job, str):
            self.summary.skipped[job] += 1
            return None
        fact = source.fact(job.fact, job.relation)
        settings = {**job.settings.as_dict(), "dtype": self.request.model.dtype}
        edit_id = edit_id_of(source.run_id, fact.fact_id, settings)
        if not self.request.dry_run and source.has(edit_id):
            self.summary.edit_ids.append(edit_id)
            self.summary.known += 1
            return None
        return _Planned(edit_id, plan_edit(source, fact, job.settings), job.settings)

    def _make(self, planned: _Planned) -> EditOutcome | None:
        outcome = self.interventions.carry_out(planned.edit_id, planned.plan, planned.settings)
        if outcome.plan.reason:
            self.summary.skipped[outcome.plan.reason] += 1
            if self.strict:
                return None
        self.summary.edit_ids.append(planned.edit_id)
        if not outcome.plan.reason:
            self.summary.made += 1
            self.summary.last = outcome
        if self.request.dry_run:
            row = ledger_row(outcome)
            self.summary.measured.append(
                row if outcome.plan.reason else {**row, "status": "measured"}
            )
        return outcome


def _store(
    request: EditRequest,
    jobs: Iterator[Job | str],
    outcomes: _Outcomes,
    total: int,
    progress: Report,
) -> None:
    """Plan edits together and make them one by one: while the model runs, the file is closed."""
    done = 0
    progress(done, total)

    def commit(batch: Sequence[EditOutcome]) -> None:
        if not request.dry_run:
            append(request.database, outcomes.run, batch, request.model.dtype)

    with Batches(commit, items=PLANNED_TOGETHER) as batches:
        while some := [*islice(jobs, PLANNED_TOGETHER)]:
            with connect(request.database) as connection, reading(connection):
                source = EditSource(connection, outcomes.summary.run_id)
                planned = outcomes.planned(source, some)
            for plan in planned:
                if plan is not None and (outcome := outcomes.made(plan)) is not None:
                    batches.add(outcome)
                done += 1
                progress(done, total)
