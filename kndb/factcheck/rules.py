"""Which method judges the claims of a relation and language, and against which threshold.

Reads a calibration; runs no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kndb.factcheck.calibrated import AUTO, ENSEMBLE_OF, METHODS, Calibrated, Limit
from kndb.neurons import Neuron
from kndb.store.prompts import RelationLang


@dataclass(frozen=True)
class Rule:
    """How the claims of a relation and language are judged.

    Attributes:
        method: how they are scored.
        limit: the calibrated threshold; None: the likeliest other candidate, see
            :mod:`kndb.factcheck.candidates`.
        neurons: the neurons to score, by kind; none for the method ``probability``.
    """

    method: str
    limit: Limit | None
    neurons: Mapping[str, tuple[Neuron, ...]]

    @property
    def every_neuron(self) -> list[Neuron]:
        """The neurons of all kinds, each once, in order."""
        return sorted({neuron for own in self.neurons.values() for neuron in own})


def rule_for(calibration: Calibrated, relation_lang: RelationLang, method: str) -> Rule | str:
    """The rule by which a method judges, or why it cannot.

    ``auto`` is the method with the highest F1 on the validation facts of the relation and
    language; ``degenerate`` if it is among several. Without any threshold it is ``probability``,
    which needs none.
    """
    if method == AUTO:
        method = best_method(calibration, relation_lang)
    kinds = [
        kind
        for kind in (ENSEMBLE_OF if method == "ensemble" else (method,))
        if kind != "probability"
    ]
    lacking = [kind for kind in kinds if (relation_lang, kind) not in calibration.neurons]
    if lacking:
        names = " and no ".join(lacking)
        return f"no {names} neurons for the relation; the method probability needs none"
    limit = calibration.limits.get((relation_lang, method))
    if limit is None and kinds:
        return "no threshold for the relation"
    return Rule(method, limit, {kind: calibration.neurons[relation_lang, kind] for kind in kinds})


def best_method(calibration: Calibrated, relation_lang: RelationLang) -> str:
    """The method with the highest F1; of equals, the first of :data:`METHODS`."""
    f1 = {
        method: limit.f1 or 0.0
        for method in METHODS
        if (limit := calibration.limits.get((relation_lang, method)))
    }
    return max(f1, key=f1.__getitem__, default="probability")
