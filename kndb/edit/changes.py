"""The weight changes of planned edits: which rows become what. Changes no weight itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kndb.edit.activations import mean_activations, token_activations
from kndb.edit.deltas import Delta, erase, update
from kndb.edit.directions import Tokens, direction, pushes
from kndb.edit.fit import Fit, fit
from kndb.edit.plan import EditSettings, Plan
from kndb.edit.saved_models import stored_rows
from kndb.edit.weight_rows import read_rows
from kndb.errors import ModelError
from kndb.models import LanguageModel, Target
from kndb.models.asking import Asker
from kndb.neurons import Neuron


class WeightChanges:
    """Computes the weight changes of edits of one model.

    Args:
        model: the model, without edits.
        asker: of this model; it keeps tokenized prompts.
        folder: where its weights are stored: their number format is that of the changes.
        fit: how rows are fitted; ``partial(fit, keep=..., log_odds=...)`` for other constants.
    """

    def __init__(
        self,
        model: LanguageModel[Any],
        asker: Asker,
        folder: Path | None,
        fit: Callable[..., Fit] = fit,
    ) -> None:
        self.model = model
        self.asker = asker
        self.folder = folder
        self.fit = fit
        self._kept_activations = lru_cache(1)(self._read_kept)  # an edit and its control share them

    def delta(self, plan: Plan, settings: EditSettings) -> Delta | None:
        """The weight change of an edit; None for one at run time.

        Raises:
            UsageError: the model has no such neuron, or the number format cannot hold the change.
            ModelError: the stored weights are no longer those of the model.
        """
        if settings.mode in ("suppress", "enhance"):
            return None
        neurons = plan.neurons
        before = self._stored(neurons)
        if settings.mode == "erase":
            return erase(self.model, neurons, before)
        change = self._fitted(plan) if settings.mode == "fit" else self._pushed(plan, settings)
        return update(self.model, neurons, change, before)

    def answers(self, plan: Plan, lang: str) -> list[tuple[Tokens, Tokens]]:
        """The tokens of the old and the new answer to each prompt that has both in a language."""
        pairs = []
        for probe in plan.probes:
            if probe.lang == lang and probe.new is not None:
                old, new = (self.asker.targets(probe.text, x) for x in (probe.old, probe.new))
                if not isinstance(old, str) and not isinstance(new, str):
                    pairs.append((tuple(t.answer for t in old), tuple(t.answer for t in new)))
        return pairs

    def _stored(self, neurons: Sequence[Neuron]) -> Tensor | None:
        """The neurons' rows as stored; None for a model that is not in a folder."""
        if self.folder is None:
            return None
        rows, own = stored_rows(self.folder, self.model, neurons), read_rows(self.model, neurons)
        if not torch.equal(rows.to(own.dtype), own):
            raise ModelError(
                f"The weights in {self.folder} have changed since they were loaded; run the same "
                "command again."
            )
        return rows

    def _pushed(self, plan: Plan, settings: EditSettings) -> Tensor:
        """The change of an update: for each neuron, the sum over its languages."""
        total = torch.zeros(len(plan.neurons), self.model.width)
        places = {neuron: i for i, neuron in enumerate(plan.neurons)}
        for part in plan.parts:
            rows = [places[neuron] for neuron in part.neurons]
            for lang in part.langs:
                prompts = self._targets([(p.text, p.old) for p in plan.given(lang)])
                fired = mean_activations(self.model, prompts, part.neurons)
                towards = direction(self.model, self.answers(plan, lang))
                total[rows] += pushes(self.model, part.neurons, fired, towards)
        return settings.strength * total

    def _fitted(self, plan: Plan) -> Tensor:
        """The change of a fit: one for all neurons and languages."""
        langs = {lang for part in plan.parts for lang in part.langs}
        wanted = [(p.text, p.new) for lang in sorted(langs) for p in plan.given(lang) if p.new]
        targets = [target for prompt in self._targets(wanted) for target in prompt]
        layers = tuple(sorted({neuron.layer for neuron in plan.neurons}))
        kept = self._kept_activations(plan.kept, layers)
        return self.fit(self.model, plan.neurons, targets, kept).change

    def _read_kept(
        self, kept: tuple[tuple[str, str], ...], layers: tuple[int, ...]
    ) -> dict[int, Tensor]:
        targets = [prompt[0] for prompt in self._targets(kept)]
        return token_activations(self.model, targets, layers) if targets else {}

    def _targets(self, questions: Sequence[tuple[str, str]]) -> list[tuple[Target, ...]]:
        """Those of the questions that the model can be asked."""
        found = (self.asker.targets(*question) for question in questions)
        return [targets for targets in found if not isinstance(targets, str)]
