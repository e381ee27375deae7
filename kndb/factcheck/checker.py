"""Checks claims against the index: finds the fact, asks the model, gives a verdict.

>>> checker = FactChecker("demo.duckdb", kndb.load_model("demo-masked"))        # doctest: +SKIP
>>> for verdict in checker.check(["The capital of France is Lyon."]):           # doctest: +SKIP
...     print(verdict.verdict, verdict.score, verdict.threshold)

A claim is ``true`` when its score reaches the threshold chosen on validation facts, ``false`` when
it is lower, and ``unknown``, with a reason, when neither can be decided. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from kndb.errors import UsageError
from kndb.factcheck.calibrated import (
    ENSEMBLE_OF,
    METHODS,
    Limit,
    calibrated,
    ensemble_score,
)
from kndb.factcheck.claims import Claim, Index, Unclear
from kndb.factcheck.scoring import CHUNK, ClaimPrompt, FlatNeurons, Reading, flat_neurons, read
from kndb.models import LanguageModel
from kndb.models.finite import Failed
from kndb.neurons import Neuron
from kndb.store import ids
from kndb.store.calibrations import read_calibration
from kndb.store.prompts import RelationLang


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a claim.

    Attributes:
        claim: the claim as given.
        fact_key: the fact it is about: ``P36:Q142``.
        lang: its language.
        verdict: ``true``, ``false`` or ``unknown``.
        score: the claim's score by the method.
        threshold: claims that score at least this count as true.
        p_claim: probability of the claimed answer.
        p_best: probability of the model's own first choice.
        best_answer: that choice.
        neurons: number of neurons behind the score; 0 for methods without any.
        method: how the claim was scored.
        reason: why the verdict is unknown.
        decided: the neurons behind the score, with their attributions; empty unless ``explain``.
    """

    claim: str
    fact_key: str | None
    lang: str | None
    verdict: Literal["true", "false", "unknown"]
    score: float | None
    threshold: float | None
    p_claim: float | None
    p_best: float | None
    best_answer: str | None
    neurons: int
    method: str
    reason: str | None = None
    decided: tuple[tuple[Neuron, float], ...] = ()


class FactChecker:
    """Checks claims with one model, its calibration and its index, all read once.

    Args:
        database: the database's path.
        model: a loaded model; the calibration is found by its weights.
        method: ``degenerate``, ``probability``, ``knowledge`` or ``ensemble``.
        lang: the language of the claims; detected when None.
        run: the run whose calibration is used; default: the newest calibration.
        band: call a claim unknown when its score lies within the threshold's band.
        explain: also list the neurons behind each claim's score.
        memory: bytes for activations.

    Raises:
        UsageError: an unknown method, or the weights' dtype differs from the calibration's.
        NotFound: the fact check is not calibrated for this model.
        DatabaseError: the database cannot be opened.
    """

    def __init__(
        self,
        database: str | Path,
        model: LanguageModel[Any],
        *,
        method: str = "degenerate",
        lang: str | None = None,
        run: str | None = None,
        band: bool = True,
        explain: bool = False,
        memory: int | None = None,
    ) -> None:
        if method not in METHODS:
            raise UsageError(f"There is no method {method!r}; choose from {', '.join(METHODS)}.")
        info = model.info
        key = ids.model_id(info.weights_sha256, info.architecture)
        self.calibration = calibrated(read_calibration(database, key, info.name, run))
        self.calibration.check_dtype(model)
        self.index = Index.read(database)
        self.model = model
        self.method = method
        self.lang = lang
        self.band = band
        self.explain = explain
        self.memory = memory
        needed = ENSEMBLE_OF if method == "ensemble" else (method,)
        self._kinds = [kind for kind in needed if kind != "probability"]
        self._sets: dict[RelationLang, dict[str, FlatNeurons]] = {}

    def check(self, claims: Iterable[str]) -> Iterator[Verdict]:
        """Verdicts on claims in words, in order; at most :data:`CHUNK` claims are in memory."""
        waiting = iter(claims)
        while chunk := list(islice(waiting, CHUNK)):
            yield from self._verdicts([self.index.match(text, self.lang) for text in chunk])

    def check_fact(self, fact_key: str, answer: str) -> list[Verdict]:
        """Whether a fact has an answer, in each language that knows the answer.

        The score is the mean over all of the fact's prompts in the language.

        Raises:
            NotFound: there is no such fact.
        """
        return self._verdicts(self.index.about(fact_key, answer, self.lang))

    def _verdicts(self, claims: Sequence[Claim | Unclear]) -> list[Verdict]:
        prompts: list[ClaimPrompt] = []
        own: list[slice] = []
        for claim in claims:
            start = len(prompts)
            if isinstance(claim, Claim) and self._problem(claim) is None:
                sets = self._neurons(claim.relation_lang)
                prompts += [ClaimPrompt(text, claim.answer, sets) for text in claim.prompts]
            own.append(slice(start, len(prompts)))
        readings = read(self.model, prompts, self.calibration.settings, self.memory)
        return [
            self._verdict(claim, readings[part]) for claim, part in zip(claims, own, strict=True)
        ]

    def _problem(self, claim: Claim) -> str | None:
        """Why claims of this relation and language cannot be checked; None if they can."""
        relation_lang = claim.relation_lang
        lacking = [
            kind for kind in self._kinds if (relation_lang, kind) not in self.calibration.neurons
        ]
        if lacking:
            kinds = " and no ".join(lacking)
            return f"no {kinds} neurons for the relation; the method probability needs none"
        if (relation_lang, self.method) not in self.calibration.limits:
            return "no threshold for the relation"
        return None

    def _neurons(self, relation_lang: RelationLang) -> dict[str, FlatNeurons]:
        """The sets of neurons to score; with ``explain``, also each neuron by itself."""
        if relation_lang not in self._sets:
            n = self.model.info.n_neurons
            own = {kind: self.calibration.neurons[relation_lang, kind] for kind in self._kinds}
            self._sets[relation_lang] = {
                kind: flat_neurons(found, n) for kind, found in own.items()
            }
            if self.explain:
                every = {neuron for found in own.values() for neuron in found}
                alone = {str(neuron): flat_neurons([neuron], n) for neuron in every}
                self._sets[relation_lang] |= alone
        return self._sets[relation_lang]

    def _verdict(self, claim: Claim | Unclear, readings: Sequence[Reading | str]) -> Verdict:
        if isinstance(claim, Unclear):
            return self._unknown(claim, claim.reason)
        if problem := self._problem(claim):
            return self._unknown(claim, problem)
        read = [reading for reading in readings if isinstance(reading, Reading)]
        problems = [reading for reading in readings if isinstance(reading, Failed)]
        if problems or not read:
            return self._unknown(claim, str([*problems, *readings][0]))
        relation_lang = claim.relation_lang
        scores = {name: _mean(r.scores[name] for r in read) for name in read[0].scores}
        scores["probability"] = _mean(reading.answer.p for reading in read)
        if self.method == "ensemble":
            scores["ensemble"] = ensemble_score(self.calibration.curves[relation_lang], scores)
        limit, score = self.calibration.limits[relation_lang, self.method], scores[self.method]
        close = self.band and limit.low <= score < limit.high
        best = max((reading.answer for reading in read), key=lambda answer: answer.p_first)
        return Verdict(
            claim.text,
            claim.fact_key,
            claim.lang,
            "unknown" if close else _decision(score, limit),
            score,
            limit.threshold,
            scores["probability"],
            best.p_first,
            best.first_choice,
            sum(len(self.calibration.neurons[relation_lang, kind]) for kind in self._kinds),
            self.method,
            "too close to the threshold" if close else None,
            self._decided(relation_lang, scores) if self.explain else (),
        )

    def _decided(
        self, relation_lang: RelationLang, scores: dict[str, float]
    ) -> tuple[tuple[Neuron, float], ...]:
        every = {n for kind in self._kinds for n in self.calibration.neurons[relation_lang, kind]}
        shares = [(neuron, scores[str(neuron)]) for neuron in sorted(every)]
        return tuple(sorted(shares, key=lambda share: -abs(share[1])))

    def _unknown(self, claim: Claim | Unclear, reason: str) -> Verdict:
        return Verdict(
            claim.text,
            claim.fact_key,
            claim.lang,
            "unknown",
            None,
            None,
            None,
            None,
            None,
            0,
            self.method,
            reason,
        )


def _decision(score: float, limit: Limit) -> Literal["true", "false"]:
    return "true" if score >= limit.threshold else "false"


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return sum(every) / len(every)
