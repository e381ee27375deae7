"""Evaluates the fact check on test facts, which its calibration has never seen.

Every method judges the same claims: each prompt of a test fact with its own answer, and with a
wrong one of the same relation. Controls are judged too: random neurons
of the same layers, the model's own first choice, and "everything is true".
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kndb.crew.engines import Engine, started
from kndb.crew.placement import Placement, check_placement
from kndb.errors import KndbError
from kndb.evaluation.statistics.metrics import METRICS, Bools, Judged, intervals, measure
from kndb.evaluation.statistics.per_fact import named
from kndb.evaluation.table import ALL
from kndb.factcheck.calibrated import Calibrated, Limit, calibrated, ensemble_score
from kndb.factcheck.labelled_claims import LabelledClaim, WrongAnswers, labelled
from kndb.factcheck.relation_neurons import Counted
from kndb.factcheck.scoring import ReadClaim, Reading, read_claims
from kndb.model_runs import model_id
from kndb.models import ModelChoice
from kndb.progress import Report, silent
from kndb.store.calibrations import read_calibration
from kndb.store.prompts import RelationLang, read_prompts

METHODS = (
    "degenerate",
    "knowledge",
    "random",
    "probability",
    "ensemble",
    "first-choice",
    "everything-true",
)


@dataclass(frozen=True)
class EvaluationRequest(Placement):
    """What to evaluate; where the model runs, see :class:`Placement`.

    Attributes:
        database: the database's path.
        model: which model, and how it is loaded.
        run: the run whose calibration is tested; the newest calibration when None.
        replicates: bootstrap draws.
        seed: of the bootstrap.
    """

    database: Path
    model: ModelChoice
    run: str | None = None
    replicates: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: the model cannot run there.
        """
        super().__post_init__()
        check_placement(self)


@dataclass(frozen=True)
class MethodFigures:
    """A method's figures for a relation and language.

    Attributes:
        method, relation, lang: what the figures describe; ``all`` means all together.
        n_facts: number of test facts.
        n_claims: number of claims about them.
        values: precision, recall, F1, AUROC and accuracy.
        intervals: their 95 % bootstrap intervals over facts; nan for a single fact.
        answered: share of claims that are not too close to their threshold to call. The figures
            above cover all claims.
        accuracy_answered: accuracy on the answered claims; nan if there are none.
    """

    method: str
    relation: str
    lang: str
    n_facts: int
    n_claims: int
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    answered: float
    accuracy_answered: float


def evaluate(
    request: EvaluationRequest, progress: Report = silent, running: Engine | None = None
) -> list[MethodFigures]:
    """Judge claims about test facts by every method.

    A relation and language for which any method lacks a threshold is left out for all methods, so
    that all are measured on the same claims.

    Args:
        request: what to evaluate, and on what.
        progress: called with the claims done, and all of them.
        running: an engine that runs the model already, and is left running; None to start one.

    Raises:
        NotFound: there is no calibration of the model.
        ModelError: the model cannot be loaded.
        UsageError: the weights' dtype differs from the calibration's.
        KndbError: no calibrated relation has a test fact, or the workers died.
    """
    with started(request, running) as engine:
        own = model_id(engine.info)
        stored = read_calibration(request.database, own, engine.info.name, request.run)
        known = calibrated(stored)
        known.check_dtype(request.model.dtype)
        claims = claims_to_judge(request.database, stored.run_id, stored.splits, stored.settings)
        claims = [claim for claim in claims if _complete(known, claim.prompt.relation_lang)]
        if not claims:
            raise KndbError(
                "There is no test fact of a relation that every method is calibrated for; "
                "ingest more facts, search them for degenerate neurons, and calibrate again."
            )
        neurons: dict[str, dict[RelationLang, Counted]] = defaultdict(dict)
        for (relation_lang, kind), of_kind in known.neurons.items():
            neurons[kind][relation_lang] = dict.fromkeys(of_kind, 0)
        memory = request.model.memory
        read = read_claims(engine, claims, neurons, known.settings, memory, progress)
    return [row for method in METHODS for row in _rows(method, read, known, request)]


def claims_to_judge(
    database: Path, run_id: int, splits: dict[str, str], settings: str
) -> list[LabelledClaim]:
    """Claims about a calibration's test facts; wrong answers are drawn as for its own claims."""
    drawn = json.loads(settings)
    prompts = read_prompts(database, run_id)
    own = [prompt for prompt in prompts if splits.get(prompt.fact_key) == "test"]
    return list(labelled(own, WrongAnswers(prompts, prompts, drawn["seed"]), drawn["wrong"]))


def _complete(known: Calibrated, relation_lang: RelationLang) -> bool:
    needed = ("degenerate", "knowledge", "random", "probability", "ensemble")
    return all((relation_lang, method) in known.limits for method in needed)


def _rows(
    method: str, read: Sequence[ReadClaim], known: Calibrated, request: EvaluationRequest
) -> Iterator[MethodFigures]:
    groups: dict[RelationLang, list[ReadClaim]] = defaultdict(list)
    for claim, reading in read:
        groups[claim.prompt.relation_lang].append((claim, reading))
    keys = sorted({claim.prompt.fact_key for claim, _ in read})
    numbers = {key: number for number, key in enumerate(keys)}
    parts = {
        relation_lang: _judge(method, relation_lang, group, known, numbers)
        for relation_lang, group in sorted(groups.items())
    }
    yield _row(method, ALL, ALL, parts, known, request)
    for relation_lang, part in parts.items():
        yield _row(method, *relation_lang, {relation_lang: part}, known, request)


def _row(
    method: str,
    relation: str,
    lang: str,
    judged: dict[RelationLang, Judged],
    known: Calibrated,
    request: EvaluationRequest,
) -> MethodFigures:
    parts = list(judged.values())
    answered = np.concatenate(
        [
            _answered(part, known.limits.get((relation_lang, method)))
            for relation_lang, part in judged.items()
        ]
    )
    right = np.concatenate([part.held == part.truth for part in parts])
    return MethodFigures(
        method,
        relation,
        lang,
        len(np.unique(np.concatenate([part.facts for part in parts]))),
        sum(len(part.truth) for part in parts),
        measure(parts),
        intervals(parts, request.seed, request.replicates),
        float(answered.mean()),
        float(right[answered].mean()) if answered.any() else float("nan"),
    )


def _answered(part: Judged, limit: Limit | None) -> Bools:
    """Which claims lie outside their threshold's band; all of them if there is no band."""
    if limit is None:
        return np.ones_like(part.held)
    return (part.scores < limit.low) | (part.scores >= limit.high)


def _judge(
    method: str,
    relation_lang: RelationLang,
    read: Sequence[ReadClaim],
    known: Calibrated,
    numbers: dict[str, int],
) -> Judged:
    scores = np.array([_score(method, relation_lang, reading, known) for _, reading in read])
    limit = known.limits.get((relation_lang, method))
    # First choice scores 1 or 0, "everything is true" always 1.
    threshold = 0.5 if limit is None else limit.threshold
    return Judged(
        np.array([claim.truth for claim, _ in read]),
        scores >= threshold,
        scores,
        np.array([numbers[claim.prompt.fact_key] for claim, _ in read]),
    )


def _score(method: str, relation_lang: RelationLang, reading: Reading, known: Calibrated) -> float:
    match method:
        case "everything-true":
            return 1.0
        case "first-choice":
            return float(reading.answer.is_first)
        case "probability":
            return reading.answer.p
        case "ensemble":
            own = {**reading.scores, "probability": reading.answer.p}
            return ensemble_score(known.curves[relation_lang], own)
    return reading.scores[method]


def as_columns(rows: Sequence[MethodFigures]) -> tuple[list[str], list[tuple[object, ...]]]:
    """The rows as a table: each metric, followed by the ends of its interval."""
    claims = ["method", "relation", "lang", "n_facts", "n_claims"]
    names = [*claims, *named(*METRICS), "answered", "accuracy_answered"]
    table = [
        (
            row.method,
            row.relation,
            row.lang,
            row.n_facts,
            row.n_claims,
            *(x for name in METRICS for x in (row.values[name], *row.intervals[name])),
            row.answered,
            row.accuracy_answered,
        )
        for row in rows
    ]
    return names, table
