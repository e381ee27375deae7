"""Chooses a threshold per relation, language and method from scored claims."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kndb.factcheck.calibrated import ENSEMBLE_OF, ensemble_score
from kndb.factcheck.curves import Curve, best_threshold, curve_of, threshold_band
from kndb.factcheck.relation_neurons import Counted
from kndb.factcheck.scoring import ReadClaim
from kndb.store.prompts import RelationLang


@dataclass(frozen=True)
class Threshold:
    """The threshold of a method for a relation and language, and the claims it was chosen on.

    Attributes:
        relation_lang: relation and language.
        method: how claims are scored.
        threshold: claims that score at least this count as true.
        low, high: its band; scores within it are too close to call.
        n_neurons: neurons behind the score; 0 for methods without any.
        n_train: number of training facts of the relation.
        n_validation: number of validation facts.
        n_claims: number of claims about them.
        f1, accuracy: on these claims.
        curve: the curve of these claims.
    """

    relation_lang: RelationLang
    method: str
    threshold: float
    low: float
    high: float
    n_neurons: int
    n_train: int
    n_validation: int
    n_claims: int
    f1: float
    accuracy: float
    curve: Curve


POINTS = 200
"""About this many points of each curve are kept."""


def choose_thresholds(
    claims: Sequence[ReadClaim],
    neurons: Mapping[str, Mapping[RelationLang, Counted]],
    train: set[str],
    objective: str,
    seed: int,
) -> tuple[Threshold, ...]:
    """A threshold for each relation, language and method that has scores of both classes.

    Args:
        claims: claims about validation facts, with their readings.
        neurons: by kind, then by relation and language.
        train: keys of the training facts.
        objective: ``f1`` or ``accuracy``.
        seed: seed of the bootstrap behind the bands.
    """
    groups: dict[RelationLang, list[ReadClaim]] = defaultdict(list)
    for claim, reading in claims:
        groups[claim.prompt.relation_lang].append((claim, reading))
    found = []
    for relation_lang, group in sorted(groups.items()):
        n_train = sum(key.startswith(f"{relation_lang.relation_id}:") for key in train)
        truth = np.array([claim.truth for claim, _ in group])
        if truth.all() or not truth.any():
            continue
        keys = [claim.prompt.fact_key for claim, _ in group]
        facts = np.unique(np.array(keys), return_inverse=True)[1]
        for method, scores in _scores(group, truth):
            n = len(neurons.get(method, {}).get(relation_lang, {}))
            found.append(
                _choose(relation_lang, method, scores, truth, facts, objective, seed, n, n_train)
            )
    return tuple(found)


def _scores(
    group: Sequence[ReadClaim], truth: NDArray[np.bool_]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The scores of each method that has them; the ensemble's come from the others' curves."""
    found = {"probability": np.array([reading.answer.p for _, reading in group])}
    for kind in group[0][1].scores:
        found[kind] = np.array([reading.scores[kind] for _, reading in group])
    yield from found.items()
    if found.keys() >= set(ENSEMBLE_OF):
        # Only stored points are used, so that a stored calibration gives the same score.
        curves = {method: curve_of(found[method], truth).thinned(POINTS) for method in ENSEMBLE_OF}
        columns = [found[method] for method in ENSEMBLE_OF]
        rows = [
            ensemble_score(curves, dict(zip(ENSEMBLE_OF, row, strict=True)))
            for row in zip(*columns, strict=True)
        ]
        yield "ensemble", np.array(rows)


def _choose(
    relation_lang: RelationLang,
    method: str,
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    facts: NDArray[np.int64],
    objective: str,
    seed: int,
    n_neurons: int,
    n_train: int,
) -> Threshold:
    curve = curve_of(scores, truth)
    at = best_threshold(curve, objective)
    low, high = threshold_band(scores, truth, facts, objective, seed)
    threshold = float(curve.thresholds[at])
    return Threshold(
        relation_lang,
        method,
        threshold,
        min(low, threshold),
        max(high, threshold),
        n_neurons,
        n_train,
        int(facts.max()) + 1,
        len(truth),
        float(curve.f1[at]),
        float(curve.accuracy[at]),
        curve,
    )
