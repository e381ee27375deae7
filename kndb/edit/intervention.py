"""Carries out planned edits on one loaded model, measures them, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kndb.edit.changes import WeightChanges
from kndb.edit.deltas import Delta
from kndb.edit.editor import Editor
from kndb.edit.plan import EditSettings, Plan
from kndb.edit.scaling import ENHANCE, SUPPRESS, scale
from kndb.edit.scores import (
    DISTANCES,
    REWRITING,
    Measurement,
    Probe,
    Response,
    Scores,
    responses,
    score,
)
from kndb.edit.selection import Part
from kndb.errors import NotFinite
from kndb.facts import content_id
from kndb.models import LanguageModel
from kndb.models.asking import Asker
from kndb.models.finite import Failed
from kndb.neurons import Neuron, random_like

KNOWN_SETS = 64
"""Sets of unrelated prompts whose answers without an edit are kept: a relation's facts share one
unless the old or the new object is in it."""


@dataclass(frozen=True)
class EditOutcome:
    """What became of one edit.

    Attributes:
        edit_id: its id.
        plan: what was to be done.
        settings: as asked for.
        scores: of the edit; None where nothing was edited.
        control: of the same done to random neurons; None where there are too few.
        measured: each prompt before and after.
        control_measured: the same for the control.
        control_neurons: the random neurons.
        delta: the weight change; None at run time.
    """

    edit_id: int
    plan: Plan
    settings: EditSettings
    scores: Scores | None = None
    control: Scores | None = None
    measured: tuple[Measurement, ...] = ()
    control_measured: tuple[Measurement, ...] = ()
    control_neurons: tuple[Neuron, ...] = ()
    delta: Delta | None = None


class Interventions:
    """Carries out plans on one loaded model, and leaves it as it was.

    ``folder`` is where its weights are stored: their number format is that of the changes.
    """

    def __init__(self, model: LanguageModel[Any], folder: Path | None) -> None:
        self.model = model
        self.asker = Asker(model)
        self.editor = Editor(model)
        self.changes = WeightChanges(model, self.asker, folder)
        self._unedited = lru_cache(KNOWN_SETS)(self._ask)

    def carry_out(
        self, edit_id: int, plan: Plan, settings: EditSettings, *, with_control: bool = True
    ) -> EditOutcome:
        """Edit, measure, undo; and the same with random neurons unless that is not wanted.

        Raises:
            NotFinite: the model's numbers for the fact's prompts are not finite, or an edit makes
                those for another prompt so.
        """
        plan = self._answerable(plan, settings)
        if plan.reason:
            return EditOutcome(edit_id, plan, settings)
        # Measured separately: facts share the batch of other facts, and a prompt's batch must be
        # the same before and after, for its probability depends on it in the last digits.
        own = tuple(probe for probe in plan.probes if probe.kind not in DISTANCES)
        others = tuple(probe for probe in plan.probes if probe.kind in DISTANCES)
        before = [*map(_finite, self._ask(own)), *self._unedited(others)]

        def measure(edited: Plan, delta: Delta | None) -> tuple[Measurement, ...]:
            with self._edited(edited.neurons, delta, settings):
                after = [*self._ask(own), *self._ask(others)]
            rows = zip((*own, *others), before, after, strict=True)
            return tuple(
                Measurement(a, b, c)
                for a, b, c in ((a, b, _finite(c)) for a, b, c in rows if isinstance(b, Response))
                if c is not None
            )

        delta = self.changes.delta(plan, settings)
        measured = measure(plan, delta)
        control = self.control(plan, settings) if with_control else None
        control_measured = (
            measure(control, self.changes.delta(control, settings)) if control else ()
        )
        return EditOutcome(
            edit_id,
            plan,
            settings,
            score(measured, settings.mode),
            score(control_measured, settings.mode) if control_measured else None,
            measured,
            control_measured,
            control.neurons if control else (),
            delta,
        )

    def control(self, plan: Plan, settings: EditSettings) -> Plan | None:
        """The plan with random neurons of the same layers; None where there are too few."""
        seed = content_id("control", settings.seed, plan.fact.fact_id)
        drawn = random_like(plan.neurons, plan.neurons, self.model.info.n_neurons, seed)
        return plan.with_neurons(dict(zip(plan.neurons, drawn, strict=True))) if drawn else None

    def _ask(self, probes: tuple[Probe, ...]) -> list[Response | Failed | None]:
        return responses(self.asker, probes)

    def _answerable(self, plan: Plan, settings: EditSettings) -> Plan:
        """The plan without languages in which no prompt can be given the new answer."""
        if settings.mode not in REWRITING or plan.reason:
            return plan
        said = {lang for lang in plan.langs if self.changes.answers(plan, lang)}
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


def _finite(response: Response | Failed | None) -> Response | None:
    """The response, if there is one.

    Raises:
        NotFinite: the model's numbers are not finite.
    """
    if isinstance(response, Failed):
        raise NotFinite(f"The edit cannot be measured: {response}.")
    return response
