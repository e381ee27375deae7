"""A calibration as the fact check uses it: neurons, thresholds and curves by relation and language.

Reads what ``kndb.store.calibrations`` gives; chooses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from kndb.attribution import Settings, preset
from kndb.errors import UsageError
from kndb.factcheck.curves import Curve
from kndb.factcheck.verdict import f1_interval
from kndb.models import LanguageModel
from kndb.neurons import Neuron
from kndb.store.calibrations import StoredCalibration
from kndb.store.prompts import RelationLang

METHODS = ("degenerate", "probability", "knowledge", "ensemble")
"""How a claim can be scored: by the mean attribution of the relation's degenerate neurons (Chen et
al. 2024) or of all its knowledge neurons, by the answer's probability, or by all three."""

AUTO = "auto"
"""The method that did best on the validation facts of a claim's relation and language."""

ENSEMBLE_OF = ("degenerate", "probability", "knowledge")


def check_method(method: str) -> None:
    """Refuse an unknown method.

    Raises:
        UsageError: there is no such method.
    """
    if method not in (AUTO, *METHODS):
        choices = ", ".join((AUTO, *METHODS))
        raise UsageError(f"There is no method {method!r}; choose from {choices}.")


@dataclass(frozen=True)
class Limit:
    """A threshold; scores from ``low`` to ``high`` are too close to call.

    ``f1`` is its F1 on validation facts, ``n_facts`` their number; None if it was not chosen on
    any.
    """

    threshold: float
    low: float
    high: float
    f1: float | None = None
    n_facts: int | None = None

    @property
    def f1_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of ``f1``; None if it is not known."""
        if self.f1 is None or not self.n_facts:
            return None
        return f1_interval(self.f1, self.n_facts)


@dataclass(frozen=True)
class Calibrated:
    """A calibration, ready for use.

    Attributes:
        settings: the run's attribution settings.
        limits: by relation, language and method.
        neurons: by relation, language and kind.
        curves: by relation, language and method.
        dtype: dtype of the model's weights; scores in another dtype do not match the thresholds.
    """

    settings: Settings
    limits: Mapping[tuple[RelationLang, str], Limit]
    neurons: Mapping[tuple[RelationLang, str], tuple[Neuron, ...]]
    curves: Mapping[RelationLang, Mapping[str, Curve]]
    dtype: str

    def check_dtype(self, given: str) -> None:
        """Refuse a model whose dtype, such as ``float32``, differs from the calibration's.

        Raises:
            UsageError: its weights have another dtype.
        """
        if given != self.dtype:
            raise UsageError(
                f"The fact check was calibrated with {self.dtype}, but {given} was given; "
                f"use --dtype {self.dtype}, or calibrate again."
            )


def attribution_settings(stored: Mapping[str, Any]) -> Settings:
    """The attribution settings within a run's settings."""
    own = {field.name for field in fields(Settings)}
    return Settings(**{name: value for name, value in stored.items() if name in own})


def calibrated(stored: StoredCalibration) -> Calibrated:
    """A stored calibration, arranged by relation and language."""
    neurons: dict[tuple[RelationLang, str], list[Neuron]] = {}
    for relation, lang, kind, layer, index in stored.neurons:
        neurons.setdefault((RelationLang(relation, lang), kind), []).append(Neuron(layer, index))
    points: dict[RelationLang, dict[str, list[tuple[float, int, int]]]] = {}
    for relation, lang, method, *point in stored.curves:
        at = points.setdefault(RelationLang(relation, lang), {}).setdefault(method, [])
        at.append((float(point[0]), int(point[1]), int(point[2])))
    return Calibrated(
        attribution_settings(stored.run_settings),
        {
            (RelationLang(relation, lang), method): Limit(threshold, low, high, f1, n_facts)
            for relation, lang, method, threshold, low, high, f1, n_facts in stored.thresholds
        },
        {key: tuple(own) for key, own in neurons.items()},
        {
            relation_lang: {method: _curve(own) for method, own in methods.items()}
            for relation_lang, methods in points.items()
        },
        json.loads(stored.settings)["dtype"],
    )


def uncalibrated(model: LanguageModel[Any]) -> Calibrated:
    """No neurons and no thresholds: only the method ``probability`` can judge."""
    settings = preset("amig", model.info.family)
    return Calibrated(settings, {}, {}, {}, str(model.dtype).removeprefix("torch."))


def _curve(points: Iterable[tuple[float, int, int]]) -> Curve:
    thresholds, true_above, false_above = zip(*points, strict=True)
    return Curve(np.array(thresholds), np.array(true_above), np.array(false_above))


def ensemble_score(curves: Mapping[str, Curve], scores: Mapping[str, float]) -> float:
    """The mean of a claim's ranks among the validation claims: one scale for all methods."""
    return sum(curves[method].rank(scores[method]) for method in ENSEMBLE_OF) / len(ENSEMBLE_OF)
