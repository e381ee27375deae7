"""Checks claims against the index: finds the fact, asks the model, gives a verdict.

>>> checker = FactChecker("demo.duckdb", kndb.load_model("demo-masked"))        # doctest: +SKIP
>>> for verdict in checker.check(["The capital of France is Lyon."]):           # doctest: +SKIP
...     print(verdict.verdict, verdict.score, verdict.threshold)

A claim is ``true`` when its score reaches the threshold, ``false`` when it is lower, and
``unknown``, with a reason, when neither can be decided. Nothing is guessed. Thresholds are chosen
on validation facts. Where there is none, the method ``probability`` compares the claimed answer
with the likeliest other answer of the relation (:mod:`kndb.factcheck.candidates`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from kndb.factcheck.calibrated import (
    AUTO,
    ENSEMBLE_OF,
    Calibrated,
    Limit,
    calibrated,
    check_method,
    ensemble_score,
    uncalibrated,
)
from kndb.factcheck.candidates import Candidates, likeliest, to_beat
from kndb.factcheck.claims import Claim, Index, Unclear
from kndb.factcheck.rules import Rule, rule_for
from kndb.factcheck.scoring import CHUNK, ClaimPrompt, FlatNeurons, Reading, flat_neurons, read
from kndb.factcheck.spelling import same
from kndb.factcheck.verdict import Verdict, Weighed
from kndb.models import LanguageModel
from kndb.models.finite import Failed
from kndb.models.tokens import Unusable
from kndb.neurons import Neuron
from kndb.notes import note
from kndb.store import ids
from kndb.store.calibrations import find_calibration, read_calibration
from kndb.store.prompts import RelationLang

SHOWN_RIVALS = 2
"""So many of the likeliest other answers are among the numbers behind a score."""

UNCALIBRATED = "not calibrated: a claim is true if no other answer of the relation is likelier"


class FactChecker:
    """Checks claims with one model, its calibration and its index, all read once.

    Args:
        database: the database's path.
        model: a loaded model; the calibration is found by its weights.
        method: ``degenerate``, ``probability``, ``knowledge``, ``ensemble``, or ``auto``: the one
            with the highest F1 on the validation facts of the claim's relation and language, and
            ``probability`` where nothing is calibrated.
        lang: the language of the claims; detected when None.
        run: the run whose calibration is used; default: the newest calibration.
        band: call a claim unknown when its score lies within the threshold's band.
        explain: also give the neurons and numbers behind each claim's score.
        memory: bytes for activations.

    Raises:
        UsageError: an unknown method, or the weights' dtype differs from the calibration's.
        NotFound: there is no such run, or a method that needs neurons is not calibrated for this
            model.
        DatabaseError: the database cannot be opened.
    """

    def __init__(
        self,
        database: str | Path,
        model: LanguageModel[Any],
        *,
        method: str = AUTO,
        lang: str | None = None,
        run: str | None = None,
        band: bool = True,
        explain: bool = False,
        memory: int | None = None,
    ) -> None:
        check_method(method)
        self.calibration = _calibration(database, model, method, run)
        self.calibration.check_dtype(str(model.dtype).removeprefix("torch."))
        self.index = Index.read(database)
        self.candidates = Candidates(self.index)
        self.model = model
        self.method = method
        self.lang = lang
        self.band = band
        self.explain = explain
        self.memory = memory
        self._rules: dict[RelationLang, Rule | str] = {}
        self._sets: dict[RelationLang, dict[str, FlatNeurons]] = {}

    def check(self, claims: Iterable[str]) -> Iterator[Verdict]:
        """Verdicts on claims in words, in order; at most :data:`CHUNK` claims are in memory."""
        waiting = iter(claims)
        while chunk := list(islice(waiting, CHUNK)):
            matched = [self.index.match(text, self.lang) for text in chunk]
            yield from self._verdicts([self._askable(claim) for claim in matched])

    def check_fact(self, fact_key: str, answer: str) -> list[Verdict]:
        """Whether a fact has an answer, in each language that knows the answer.

        The score is the mean over all of the fact's prompts in the language.

        Raises:
            NotFound: there is no such fact.
        """
        return self._verdicts(self.index.about(fact_key, answer, self.lang))

    def _askable(self, claim: Claim | Unclear) -> Claim | Unclear:
        """The claim, with the fact's other prompts if the model cannot be asked its own."""
        if not isinstance(claim, Claim) or any(self._asks(claim, text) for text in claim.prompts):
            return claim
        others = tuple(text for text in claim.others if self._asks(claim, text))
        return replace(claim, prompts=others) if others else claim

    def _asks(self, claim: Claim, prompt: str) -> bool:
        try:
            return bool(self.model.targets(prompt, claim.answer))
        except Unusable:
            return False

    def _verdicts(self, claims: Sequence[Claim | Unclear]) -> list[Verdict]:
        prompts: list[ClaimPrompt] = []
        own: list[slice] = []
        for claim in claims:
            start = len(prompts)
            if isinstance(claim, Claim):
                prompts += self._prompts(claim)
            own.append(slice(start, len(prompts)))
        readings = read(self.model, prompts, self.calibration.settings, self.memory)
        return [
            self._verdict(claim, readings[part]) for claim, part in zip(claims, own, strict=True)
        ]

    def _prompts(self, claim: Claim) -> list[ClaimPrompt]:
        """The claim's prompts with its answer, then, if they set the threshold, its candidates'."""
        rule = self._rule(claim.relation_lang)
        if isinstance(rule, str):
            return []
        sets = self._neurons(claim.relation_lang, rule)
        own = [ClaimPrompt(text, claim.answer, sets) for text in claim.prompts]
        if rule.limit is not None:
            return own
        candidates = self.candidates.of(claim)
        return own + [ClaimPrompt(text, one, {}) for one in candidates for text in claim.prompts]

    def _rule(self, relation_lang: RelationLang) -> Rule | str:
        if relation_lang not in self._rules:
            rule = rule_for(self.calibration, relation_lang, self.method)
            if isinstance(rule, Rule) and rule.limit is None:
                note(UNCALIBRATED)
            self._rules[relation_lang] = rule
        return self._rules[relation_lang]

    def _neurons(self, relation_lang: RelationLang, rule: Rule) -> dict[str, FlatNeurons]:
        """The sets of neurons to score; with ``explain``, also each neuron by itself."""
        if relation_lang not in self._sets:
            n = self.model.info.n_neurons
            sets = {kind: flat_neurons(found, n) for kind, found in rule.neurons.items()}
            if self.explain:
                sets |= {str(neuron): flat_neurons([neuron], n) for neuron in rule.every_neuron}
            self._sets[relation_lang] = sets
        return self._sets[relation_lang]

    def _verdict(self, claim: Claim | Unclear, readings: Sequence[Reading | str]) -> Verdict:
        if isinstance(claim, Unclear):
            return self._unknown(claim, claim.reason)
        rule = self._rule(claim.relation_lang)
        if isinstance(rule, str):
            return self._unknown(claim, rule)
        n = len(claim.prompts)
        own = readings[:n]
        readable = [number for number, one in enumerate(own) if isinstance(one, Reading)]
        problems = [reading for reading in own if isinstance(reading, Failed)]
        if problems or not readable:
            return self._unknown(claim, str([*problems, *own][0]))
        rivals: Weighed = ()
        if rule.limit is None:
            rivals = likeliest(self.candidates.of(claim), readings[n:], n, readable)
        limit = rule.limit or to_beat(rivals)
        if limit is None:
            return self._unknown(claim, "no other answer of the relation to compare with")
        read = [one for one in own if isinstance(one, Reading)]
        return self._judged(claim, rule, limit, read, rivals)

    def _judged(
        self, claim: Claim, rule: Rule, limit: Limit, read: Sequence[Reading], rivals: Weighed
    ) -> Verdict:
        scores = {name: fmean(one.scores[name] for one in read) for name in read[0].scores}
        scores["probability"] = fmean(reading.answer.p for reading in read)
        if rule.method == "ensemble":
            curves = self.calibration.curves[claim.relation_lang]
            scores["ensemble"] = ensemble_score(curves, scores)
        score = scores[rule.method]
        if rule.limit is None:  # compared with answers of other lengths
            score = fmean(reading.answer.p_whole for reading in read)
        close = self.band and limit.low <= score < limit.high
        best = max((reading.answer for reading in read), key=lambda answer: answer.p_first)
        rivals = rivals or ((best.first_choice, best.p_first),)
        low, high = limit.f1_interval or (None, None)
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
            sum(len(own) for own in rule.neurons.values()),
            rule.method,
            "too close to the threshold" if close else None,
            _decided(rule, scores) if self.explain else (),
            limit.f1,
            low,
            high,
            self._weighed(claim, rule, scores, score, rivals) if self.explain else (),
        )

    def _weighed(
        self, claim: Claim, rule: Rule, scores: Mapping[str, float], score: float, rivals: Weighed
    ) -> Weighed:
        """The numbers behind a score, other than those of neurons."""
        if rule.method == "ensemble":
            curves = self.calibration.curves[claim.relation_lang]
            return tuple((name, curves[name].rank(scores[name])) for name in ENSEMBLE_OF)
        own = score if rule.method == "probability" else scores["probability"]
        others = [(name, p) for name, p in rivals if same(name) != same(claim.answer)]
        return ((claim.answer, own), *others[:SHOWN_RIVALS])

    def _unknown(self, claim: Claim | Unclear, reason: str) -> Verdict:
        rule = self._rules.get(claim.relation_lang) if isinstance(claim, Claim) else None
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
            rule.method if isinstance(rule, Rule) else self.method,
            reason,
        )


def _calibration(
    database: str | Path, model: LanguageModel[Any], method: str, run: str | None
) -> Calibrated:
    """The model's calibration; an empty one if there is none and the method can do without."""
    info = model.info
    key = ids.model_id(info.weights_sha256, info.architecture)
    if method not in (AUTO, "probability"):
        return calibrated(read_calibration(database, key, info.name, run))
    found = find_calibration(database, key, run)
    return uncalibrated(model) if found is None else calibrated(found)


def _decided(rule: Rule, scores: Mapping[str, float]) -> tuple[tuple[Neuron, float], ...]:
    """The neurons behind a score, those with the largest attributions first."""
    shares = [(neuron, scores[str(neuron)]) for neuron in rule.every_neuron]
    return tuple(sorted(shares, key=lambda share: -abs(share[1])))


def _decision(score: float, limit: Limit) -> Literal["true", "false"]:
    return "true" if score >= limit.threshold else "false"
