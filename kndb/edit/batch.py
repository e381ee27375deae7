"""Carries out edits over a stored run: neurons from the index, effects measured, ledger kept.

The model is loaded once and is as before after each edit. An edit is made of run, fact and
settings; those in the ledger are left alone, so an interrupted batch goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kndb.edit.deltas import Delta, erase, update
from kndb.edit.directions import Tokens, direction
from kndb.edit.editor import Editor
from kndb.edit.plan import EditSettings, Part, Plan, plan_edit
from kndb.edit.saved_models import stored_rows
from kndb.edit.scaling import ENHANCE, SUPPRESS, scale
from kndb.edit.scores import Asked, Measured, Scores, Seen, look, score
from kndb.errors import NotFound, UsageError
from kndb.facts import content_id
from kndb.model_runs import model_and_run
from kndb.models import LanguageModel, ModelChoice
from kndb.models.asking import Asker
from kndb.neurons import Neuron, random_like
from kndb.progress import Report, silent
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.edit_source import EditSource
from kndb.store.edits import Ledger, edit_id_of
from kndb.store.readonly import reading

COMMIT_SECONDS = 5.0
"""An interrupted batch loses no more than this much work."""

COMMIT_EDITS = 50
"""Nor more edits than this."""

KNOWN_SETS = 64
"""Sets of unrelated prompts whose answers without an edit are kept: a relation's facts share one
unless the old or the new object is in it."""


@dataclass(frozen=True)
class Job:
    """One edit to make: a fact in words, its relation if that is needed, and the settings."""

    fact: str
    settings: EditSettings
    relation: str | None = None


@dataclass(frozen=True)
class EditRequest:
    """Where to edit, and with what.

    Attributes:
        database: the database's path.
        model: which model, and how it is loaded.
        run: a run's id or its first digits; the model's newest finished run when None.
        dry_run: measure, and store nothing.
    """

    database: Path
    model: ModelChoice
    run: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of one edit.

    Attributes:
        edit_id: its id.
        plan: what was to be done.
        settings: as asked for.
        scores: of the edit; None where nothing was edited.
        control: of the same done to random neurons; None where there are too few.
        measured: prompt by prompt.
        control_measured: likewise, of the control.
        control_neurons: the random neurons.
        delta: the weight change; None at run time.
    """

    edit_id: int
    plan: Plan
    settings: EditSettings
    scores: Scores | None = None
    control: Scores | None = None
    measured: tuple[Measured, ...] = ()
    control_measured: tuple[Measured, ...] = ()
    control_neurons: tuple[Neuron, ...] = ()
    delta: Delta | None = None


@dataclass
class EditSummary:
    """A batch in figures, kept small whatever its length.

    Attributes:
        run_id: the run.
        model: the model's name.
        edit_ids: every edit asked for that is in the ledger now, or was measured.
        made: edits made by this call.
        known: edits that the ledger had.
        skipped: by reason, edits that could not be made.
        measured: of a dry run, what the ledger would say of each edit.
        last: the last edit made.
        seconds: this call took.
    """

    run_id: int
    model: str
    edit_ids: list[int] = field(default_factory=list)
    made: int = 0
    known: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    measured: list[dict[str, Any]] = field(default_factory=list)
    last: Outcome | None = None
    seconds: float = 0.0


class Surgeon:
    """Carries out plans on one loaded model, and leaves it as it was.

    ``folder`` is where its weights are stored: their number format is that of the changes.
    """

    def __init__(self, model: LanguageModel[Any], folder: Path | None) -> None:
        self.model = model
        self.folder = folder
        self.asker = Asker(model)
        self.editor = Editor(model)
        self._unedited = lru_cache(KNOWN_SETS)(self._look)

    def carry_out(self, edit_id: int, plan: Plan, settings: EditSettings) -> Outcome:
        """Edit, measure, undo; and the same with random neurons."""
        plan = self._sayable(plan, settings)
        if plan.reason:
            return Outcome(edit_id, plan, settings)
        pushes = self._pushes(plan, settings)
        # Asked apart, as facts share the second: a prompt's batch must be the same before and
        # after, for its probability depends on it in the last digits.
        own = tuple(one for one in plan.asked if one.kind != "unrelated")
        unrelated = tuple(one for one in plan.asked if one.kind == "unrelated")
        before = [*self._look(own), *self._unedited(unrelated)]

        def measure(neurons: Sequence[Neuron], delta: Delta | None) -> tuple[Measured, ...]:
            with self._edited(neurons, delta, settings):
                after = [*self._look(own), *self._look(unrelated)]
            rows = zip((*own, *unrelated), before, after, strict=True)
            return tuple(Measured(a, b, c) for a, b, c in rows if b is not None and c is not None)

        delta = self.delta(plan.neurons, settings, pushes)
        measured = measure(plan.neurons, delta)
        seed = content_id("control", settings.seed, plan.fact.fact_id)
        drawn = random_like(plan.neurons, plan.neurons, self.model.info.n_neurons, seed)
        control = tuple(drawn or ())
        beside = measure(control, self.delta(control, settings, pushes)) if control else ()
        return Outcome(
            edit_id,
            plan,
            settings,
            score(measured, settings.mode),
            score(beside, settings.mode) if beside else None,
            measured,
            beside,
            control,
            delta,
        )

    def _look(self, asked: tuple[Asked, ...]) -> list[Seen | None]:
        return look(self.asker, asked)

    def delta(
        self, neurons: Sequence[Neuron], settings: EditSettings, pushes: Tensor
    ) -> Delta | None:
        """The weight change of an edit; None for one at run time."""
        if settings.mode not in ("erase", "update"):
            return None
        before = stored_rows(self.folder, self.model, neurons) if self.folder else None
        if settings.mode == "erase":
            return erase(self.model, neurons, before)
        return update(self.model, neurons, settings.strength * pushes, before)

    def _pushes(self, plan: Plan, settings: EditSettings) -> Tensor:
        """Of each of the plan's neurons the sum of its languages' directions."""
        total = torch.zeros(len(plan.neurons), self.model.width)
        if settings.mode != "update":
            return total
        places = {neuron: i for i, neuron in enumerate(plan.neurons)}
        for part in plan.parts:
            push = torch.stack([self._direction(plan, lang) for lang in part.langs]).sum(0)
            total[[places[neuron] for neuron in part.neurons]] += push
        return total

    def _direction(self, plan: Plan, lang: str) -> Tensor:
        return direction(self.model, self._pairs(plan, lang))

    def _pairs(self, plan: Plan, lang: str) -> list[tuple[Tokens, Tokens]]:
        """The tokens of the old and the new answer to each prompt that can be asked for both."""
        pairs = []
        for asked in plan.asked:
            if asked.kind == "unrelated" or asked.lang != lang or asked.new is None:
                continue
            old, new = (self.asker.targets(asked.text, x) for x in (asked.old, asked.new))
            if not isinstance(old, str) and not isinstance(new, str):
                pairs.append((tuple(t.answer for t in old), tuple(t.answer for t in new)))
        return pairs

    def _sayable(self, plan: Plan, settings: EditSettings) -> Plan:
        """The plan without the languages in which an update has no new answer to push to."""
        if settings.mode != "update" or plan.reason:
            return plan
        said = {lang for lang in plan.langs if self._pairs(plan, lang)}
        parts = tuple(
            Part(part.neurons, tuple(lang for lang in part.langs if lang in said))
            for part in plan.parts
            if said.intersection(part.langs)
        )
        if any(part.neurons for part in parts):
            return replace(plan, parts=parts)
        return replace(plan, reason=f"no prompt can be answered by {settings.target!r}")

    @contextmanager
    def _edited(
        self, neurons: Sequence[Neuron], delta: Delta | None, settings: EditSettings
    ) -> Iterator[None]:
        if delta is not None:
            with self.editor.applied(delta):
                yield
            return
        with scale(self.model, neurons, ENHANCE if settings.mode == "enhance" else SUPPRESS):
            yield


def edit(
    request: EditRequest,
    jobs: Iterable[Job | str],
    total: int,
    progress: Report = silent,
) -> EditSummary:
    """Make edits one by one, measure each, and write them into the ledger.

    Of many, those that cannot be made are written down as skipped, with the reason; a single one
    leaves nothing.

    Args:
        request: where, and with what.
        jobs: the edits; a text in the place of one is the reason why it cannot be made.
        total: how many there are, for the progress.
        progress: told after each.

    Raises:
        NotFound: no such run; or, of a single edit, no such fact.
        UsageError: an option is wrong, or the model is not the run's.
        ModelError: the model cannot be loaded.
        DatabaseError: the database cannot be opened.
        KeyboardInterrupt: after storing what was done.
    """
    started = time.monotonic()
    model, run = model_and_run(request)
    surgeon = Surgeon(model, request.model.folder)
    summary = EditSummary(run.run_id, model.info.name)
    outcomes = _Outcomes(request, surgeon, summary, strict=total == 1)
    _store(request, iter(jobs), outcomes, total, progress)
    summary.seconds = time.monotonic() - started
    return summary


class _Outcomes:
    """Makes edits, and counts what became of them."""

    def __init__(
        self, request: EditRequest, surgeon: Surgeon, summary: EditSummary, *, strict: bool
    ) -> None:
        self.request = request
        self.surgeon = surgeon
        self.summary = summary
        self.strict = strict

    def make(self, source: EditSource, job: Job | str) -> Outcome | None:
        """Make an edit; None where there is nothing to store."""
        if isinstance(job, str):
            self.summary.skipped[job] += 1
            return None
        try:
            return self._make(source, job)
        except (NotFound, UsageError) as error:
            if self.strict:
                raise
            self.summary.skipped[str(error)] += 1
            return None

    def _make(self, source: EditSource, job: Job) -> Outcome | None:
        fact = source.fact(job.fact, job.relation)
        settings = {**job.settings.as_dict(), "dtype": self.request.model.dtype}
        edit_id = edit_id_of(source.run_id, fact.fact_id, settings)
        if not self.request.dry_run and source.has(edit_id):
            self.summary.edit_ids.append(edit_id)
            self.summary.known += 1
            return None
        plan = plan_edit(source, fact, job.settings)
        outcome = self.surgeon.carry_out(edit_id, plan, job.settings)
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
    """Make edits in batches: the file is read while a batch is made, and let go to write it."""
    done = 0
    progress(done, total)
    for first in jobs:
        waiting: list[Outcome] = []
        last = time.monotonic()
        try:
            with connect(request.database) as connection, reading(connection):
                source = EditSource(connection, outcomes.summary.run_id)
                for job in chain([first], jobs):
                    made = outcomes.make(source, job)
                    if made is not None:
                        waiting.append(made)
                    done += 1
                    progress(done, total)
                    if len(waiting) >= COMMIT_EDITS or time.monotonic() - last >= COMMIT_SECONDS:
                        break
        finally:
            if waiting and not request.dry_run:
                _commit(request, outcomes, waiting)


def _commit(request: EditRequest, outcomes: _Outcomes, batch: Sequence[Outcome]) -> None:
    common = {
        "run_id": outcomes.summary.run_id,
        "weights_sha256": outcomes.surgeon.model.info.weights_sha256,
    }
    Ledger(request.database).append(
        [{**common, **edit_row(outcome, request.model.dtype)} for outcome in batch],
        [row for outcome in batch for row in _neuron_rows(outcome)],
        [
            {"edit_id": outcome.edit_id, "kind": kind, **_stored(row)}
            for outcome in batch
            for kind, measured in (
                ("edit", outcome.measured),
                ("control", outcome.control_measured),
            )
            for row in measure_rows(measured, outcome.settings)
        ],
    )


def edit_row(outcome: Outcome, dtype: str) -> dict[str, Any]:
    """A row of ``edit``, but for the run and the weights."""
    plan, settings = outcome.plan, outcome.settings
    unknown = dict.fromkeys(f.name for f in fields(Scores))
    scores = asdict(outcome.scores) if outcome.scores else unknown
    control = asdict(outcome.control) if outcome.control else unknown
    shares = ("reliability", "generality", "transfer", "locality", "harmonic")
    return {
        "edit_id": outcome.edit_id,
        "fact_id": plan.fact.fact_id,
        "mode": settings.mode,
        "selection": settings.neurons,
        "lang": plan.lang,
        "langs": ",".join(plan.langs),
        "target": settings.target,
        "target_object_id": plan.target_object,
        "strength": settings.strength if settings.mode == "update" else None,
        "settings": ids.canonical_json({**settings.as_dict(), "dtype": dtype}),
        "status": "skipped" if plan.reason else "active",
        "reason": plan.reason,
        "n_neurons": len(plan.neurons),
        **scores,
        **{f"control_{name}": control[name] for name in shares},
        "delta": outcome.delta.to_bytes() if outcome.delta else None,
    }


def ledger_row(outcome: Outcome) -> dict[str, Any]:
    """An edit for people, by the columns that ``kndb edit list`` also has."""
    row = edit_row(outcome, "")
    names = ("mode", "selection", "lang", "langs", "target", "strength", "n_neurons")
    scores = ("reliability", "generality", "transfer", "locality", "harmonic", "control_harmonic")
    shown = {name: row[name] for name in (*names, *scores, "reason")}
    return {"fact_key": outcome.plan.fact.key, **shown}


def _neuron_rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for kind, neurons in (("edit", outcome.plan.neurons), ("control", outcome.control_neurons)):
        for neuron in neurons:
            yield {
                "edit_id": outcome.edit_id,
                "kind": kind,
                "layer": neuron.layer,
                "neuron": neuron.index,
            }


def measure_rows(measured: Iterable[Measured], settings: EditSettings) -> Iterator[dict[str, Any]]:
    """What was measured, prompt by prompt, for people: the columns of ``Ledger.show``."""
    for one in measured:
        yield {
            "prompt_id": one.asked.prompt_id,
            "fact_key": one.asked.fact_key,
            "lang": one.asked.lang,
            "part": one.asked.kind,
            "text": one.asked.text,
            "old_answer": one.asked.old,
            "new_answer": one.asked.new,
            "p_old_before": one.before.p_old,
            "p_old_after": one.after.p_old,
            "p_new_before": one.before.p_new,
            "p_new_after": one.after.p_new,
            "first_before": one.before.first,
            "first_after": one.after.first,
            "changed": one.changed,
            "success": one.success(settings.mode),
        }


def _stored(row: Mapping[str, Any]) -> dict[str, Any]:
    joined = ("fact_key", "lang", "text", "old_answer")
    return {name: value for name, value in row.items() if name not in joined}
