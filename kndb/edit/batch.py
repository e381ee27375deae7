"""Makes edits over a stored run, one after the other, and keeps them in the ledger.

The model is loaded once and is as before after each edit. An edit is made of run, fact and
settings; those in the ledger are left alone, so an interrupted batch can be continued.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from kndb.edit.intervention import EditOutcome, Interventions
from kndb.edit.ledger import append, ledger_row
from kndb.edit.plan import plan_edit
from kndb.edit.request import EditRequest, EditSummary, Job
from kndb.errors import NotFinite, NotFound, UsageError
from kndb.model_runs import model_and_run
from kndb.progress import Report, silent
from kndb.store.commits import Batches
from kndb.store.database import connect
from kndb.store.edit_source import EditSource
from kndb.store.edits import edit_id_of
from kndb.store.readonly import reading

COMMIT_EDITS = 50
"""Most edits between commits."""


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
    model, run = model_and_run(request)
    interventions = Interventions(model, request.model.folder)
    summary = EditSummary(run.run_id, model.info.name)
    outcomes = _Outcomes(request, interventions, summary, strict=total == 1)
    _store(request, iter(jobs), outcomes, total, progress)
    summary.seconds = time.monotonic() - started
    return summary


class _Outcomes:
    """Makes edits, and counts what became of them."""

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

    def make(self, source: EditSource, job: Job | str) -> EditOutcome | None:
        """Make an edit; None where there is nothing to store."""
        if isinstance(job, str):
            self.summary.skipped[job] += 1
            return None
        try:
            return self._make(source, job)
        except (NotFound, UsageError, NotFinite) as error:
            if self.strict:
                raise
            self.summary.skipped[str(error)] += 1
            return None

    def _make(self, source: EditSource, job: Job) -> EditOutcome | None:
        fact = source.fact(job.fact, job.relation)
        settings = {**job.settings.as_dict(), "dtype": self.request.model.dtype}
        edit_id = edit_id_of(source.run_id, fact.fact_id, settings)
        if not self.request.dry_run and source.has(edit_id):
            self.summary.edit_ids.append(edit_id)
            self.summary.known += 1
            return None
        plan = plan_edit(source, fact, job.settings)
        outcome = self.interventions.carry_out(edit_id, plan, job.settings)
        if outcome.plan.reason:
            self.summary.skipped[outcome.plan.reason] += 1
            if self.strict:
                return None
        self.summary.edit_ids.append(edit_id)
        if not outcome.plan.reason:
            self.summary.made += 1
            self.summary.last = outcome
        if self.request.dry_run:
            self.summary.measured.append(ledger_row(outcome))
        return outcome


def _store(
    request: EditRequest,
    jobs: Iterator[Job | str],
    outcomes: _Outcomes,
    total: int,
    progress: Report,
) -> None:
    """Make edits in batches. During a batch the database is open for reading only."""
    done = 0
    progress(done, total)

    def commit(batch: Sequence[EditOutcome]) -> None:
        if not request.dry_run:
            append(request.database, outcomes.run, batch, request.model.dtype)

    with Batches(commit, items=COMMIT_EDITS) as batches:
        for first in jobs:
            with connect(request.database) as connection, reading(connection):
                source = EditSource(connection, outcomes.summary.run_id)
                for job in chain([first], jobs):
                    made = outcomes.make(source, job)
                    if made is not None:
                        batches.collect(made)
                    done += 1
                    progress(done, total)
                    if batches.due:
                        break
            batches.flush()
