"""Carries out planned edits on one loaded model, measures them, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kndb.edit.deltas import Delta, erase, update
from kndb.edit.directions import Tokens, direction
from kndb.edit.editor import Editor
from kndb.edit.plan import EditSettings, Part, Plan
from kndb.edit.saved_models import stored_rows
from kndb.edit.scaling import ENHANCE, SUPPRESS, scale
from kndb.edit.scores import Measurement, Probe, Response, Scores, responses, score
from kndb.facts import content_id
from kndb.models import LanguageModel
from kndb.models.asking import Asker
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
        self.folder = folder
        self.asker = Asker(model)
        self.editor = Editor(model)
        self._unedited = lru_cache(KNOWN_SETS)(self._ask)

    def carry_out(self, edit_id: int, plan: Plan, settings: EditSettings) -> EditOutcome:
        """Edit, measure, undo; and the same with random neurons."""
        plan = self._answerable(plan, settings)
        if plan.reason:
            return EditOutcome(edit_id, plan, settings)
        directions = self._directions(plan, settings)
        # Measured separately: facts share the unrelated batch, and a prompt's batch must be the
        # same before and after, for its probability depends on it in the last digits.
        own = tuple(one for one in plan.probes if one.kind != "unrelated")
        unrelated = tuple(one for one in plan.probes if one.kind == "unrelated")
        before = [*self._ask(own), *self._unedited(unrelated)]

        def measure(neurons: Sequence[Neuron], delta: Delta | None) -> tuple[Measurement, ...]:
            with self._edited(neurons, delta, settings):
                after = [*self._ask(own), *self._ask(unrelated)]
            rows = zip((*own, *unrelated), before, after, strict=True)
            return tuple(
                Measurement(a, b, c) for a, b, c in rows if b is not None and c is not None
            )

        delta = self.delta(plan.neurons, settings, directions)
        measured = measure(plan.neurons, delta)
        seed = content_id("control", settings.seed, plan.fact.fact_id)
        drawn = random_like(plan.neurons, plan.neurons, self.model.info.n_neurons, seed)
        control = tuple(drawn or ())
        beside = measure(control, self.delta(control, settings, directions)) if control else ()
        return EditOutcome(
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

    def _ask(self, probes: tuple[Probe, ...]) -> list[Response | None]:
        return responses(self.asker, probes)

    def delta(
        self, neurons: Sequence[Neuron], settings: EditSettings, directions: Tensor
    ) -> Delta | None:
        """The weight change of an edit; None for one at run time."""
        if settings.mode not in ("erase", "update"):
            return None
        before = stored_rows(self.folder, self.model, neurons) if self.folder else None
        if settings.mode == "erase":
            return erase(self.model, neurons, before)
        return update(self.model, neurons, settings.strength * directions, before)

    def _directions(self, plan: Plan, settings: EditSettings) -> Tensor:
        """Of each of the plan's neurons the sum of its languages' directions."""
        total = torch.zeros(len(plan.neurons), self.model.width)
        if settings.mode != "update":
            return total
        places = {neuron: i for i, neuron in enumerate(plan.neurons)}
        for part in plan.parts:
            push = torch.stack([self._direction_of(plan, lang) for lang in part.langs]).sum(0)
            total[[places[neuron] for neuron in part.neurons]] += push
        return total

    def _direction_of(self, plan: Plan, lang: str) -> Tensor:
        return direction(self.model, self._pairs(plan, lang))

    def _pairs(self, plan: Plan, lang: str) -> list[tuple[Tokens, Tokens]]:
        """The tokens of the old and the new answer to each prompt that can be asked for both."""
        pairs = []
        for probe in plan.probes:
            if probe.kind == "unrelated" or probe.lang != lang or probe.new is None:
                continue
            old, new = (self.asker.targets(probe.text, x) for x in (probe.old, probe.new))
            if not isinstance(old, str) and not isinstance(new, str):
                pairs.append((tuple(t.answer for t in old), tuple(t.answer for t in new)))
        return pairs

    def _answerable(self, plan: Plan, settings: EditSettings) -> Plan:
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
