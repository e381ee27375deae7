"""Modes of editing on the same facts: which neurons, how local, how many edits at once.

    kndb ingest --model demo-masked --dataset demo --langs en,zh --limit 200 --db demo.duckdb
    OMP_NUM_THREADS=1 python benchmarks/editing_methods.py demo-masked --db demo.duckdb

For a pretrained model with facts that it knows, see benchmarks/known_facts.py. Facts come in an
order drawn with the seed. The first of them determine the lambda of the update and the layer of
``layer:N``, by the harmonic mean of reliability, generality, transfer and locality; the rest are
reported, and determine nothing. A fact gets the object of another fact of its relation.

Locality is split by distance: facts of the same relation, of other relations with an object of the
same type, and all others. For edits at once, the changes for N facts, each computed on the unedited
model, are added up and applied to the weights together; then every edited fact is measured, as are
facts that none of the edits is about.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from kndb.edit.deltas import Delta
from kndb.edit.fit import fit
from kndb.edit.intervention import EditOutcome, Interventions
from kndb.edit.plan import DEFAULT_STRENGTH, EditSettings, Plan, plan_edit
from kndb.edit.scaling import ENHANCE, SUPPRESS, scale
from kndb.edit.scores import (
    DISTANCES,
    REWRITING,
    Measurement,
    Mode,
    Response,
    Scores,
    responses,
    score,
    share_of,
)
from kndb.errors import UsageError
from kndb.facts import content_id
from kndb.models import ModelChoice
from kndb.neurons import Neuron
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.edit_source import EditSource, StoredFact
from kndb.store.runs import run_of_model

LAMBDAS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
LOG_ODDS = (0.1, 1.0, 3.0)
SHARES = ("reliability", "generality", "transfer", "locality", "harmonic")
MODES: tuple[Mode, ...] = ("suppress", "enhance", "erase", "update", "fit")
NAMED = (*SHARES, *DISTANCES)


@dataclass(frozen=True)
class Way:
    """A mode with a selection of neurons; ``strength`` is for an update."""

    mode: Mode
    selection: str
    strength: float = DEFAULT_STRENGTH


class Bench:
    """Plans and makes the edits of one run."""

    def __init__(self, interventions: Interventions, source: EditSource, options: Any) -> None:
        self.interventions = interventions
        self.source = source
        self.lang: str = options.lang
        self.seed: int = options.seed
        self.unrelated: int = options.unrelated

    def facts(self, n: int) -> list[StoredFact]:
        """At most ``n`` facts with knowledge neurons and another answer to give."""
        keys = sorted(self.source.keys(), key=lambda key: content_id("methods", self.seed, key))
        found = (self.source.fact(key) for key in keys)
        usable = (fact for fact in found if self._is_usable(fact))
        return [fact for fact, _ in zip(usable, range(n), strict=False)]

    def _is_usable(self, fact: StoredFact) -> bool:
        if self._another_answer(fact) is None:
            return False
        plan = self.plan(fact, Way("erase", "sequential"))[0]
        return plan.reason is None and any(probe.kind == "paraphrase" for probe in plan.probes)

    def plan(self, fact: StoredFact, way: Way) -> tuple[Plan, EditSettings]:
        """The plan and settings of a fact's edit in this way."""
        settings = EditSettings(
            way.mode,
            way.selection,
            target=self._another_answer(fact) if way.mode in REWRITING else None,
            target_lang=self.lang,
            strength=way.strength,
            unrelated=self.unrelated,
            seed=self.seed,
        )
        return plan_edit(self.source, fact, settings), settings

    def _another_answer(self, fact: StoredFact) -> str | None:
        """The label of another object of the fact's relation."""
        sql = """
            SELECT DISTINCT answer FROM prompt JOIN fact USING (fact_id)
            WHERE relation_id = ? AND object_id <> ? AND lang = ? ORDER BY answer
        """
        asked = [fact.relation_id, fact.object_id, self.lang]
        rows = self.source._connection.execute(sql, asked).fetchall()
        return str(random.Random(f"{self.seed} {fact.key}").choice(rows)[0]) if rows else None

    def make(self, facts: Sequence[StoredFact], way: Way, controls: int = 0) -> list[EditOutcome]:
        """Make edits one by one, the first ones with a control; those not made are left out."""
        made = []
        for number, fact in enumerate(facts):
            plan, settings = self.plan(fact, way)
            made.append(
                self.interventions.carry_out(0, plan, settings, with_control=number < controls)
            )
        return [outcome for outcome in made if outcome.scores is not None]

    def at_once(self, edits: Sequence[EditOutcome]) -> list[list[Measurement]]:
        """Make the edits together; measure each edit's fact, and facts that none is about."""
        edited = {edit.plan.fact.key for edit in edits}
        own = [
            [p for p in edit.plan.probes if p.kind not in DISTANCES or p.fact_key not in edited]
            for edit in edits
        ]
        every = list(dict.fromkeys(probe for probes in own for probe in probes))
        before = responses(self.interventions.asker, every)
        with self._together(edits):
            after = responses(self.interventions.asker, every)
        found = {
            probe: Measurement(probe, b, a)
            for probe, b, a in zip(every, before, after, strict=True)
            if isinstance(b, Response) and isinstance(a, Response)
        }
        return [[found[probe] for probe in probes if probe in found] for probes in own]

    @contextmanager
    def _together(self, edits: Sequence[EditOutcome]) -> Iterator[None]:
        mode = edits[0].settings.mode
        deltas = [edit.delta for edit in edits if edit.delta is not None]
        if deltas:
            with self.interventions.editor.applied(added(deltas, mode)):
                yield
            return
        neurons = sorted({neuron for edit in edits for neuron in edit.plan.neurons})
        factor = ENHANCE if mode == "enhance" else SUPPRESS
        with scale(self.interventions.model, neurons, factor):
            yield


def added(deltas: Sequence[Delta], mode: str) -> Delta:
    """Combine changes of the same weights: those of a neuron add up; erased stays erased."""
    before: dict[Neuron, Any] = {}
    change: dict[Neuron, Any] = {}
    for delta in deltas:
        for neuron, old, new in zip(delta.neurons, delta.before, delta.after, strict=True):
            before[neuron] = old
            change[neuron] = (change.get(neuron, 0) if mode != "erase" else 0) + new - old
    neurons = tuple(sorted(before))
    old = torch.stack([before[neuron] for neuron in neurons])
    new = old + torch.stack([change[neuron] for neuron in neurons])
    return Delta(deltas[0].weights_sha256, neurons, old, new)


def shares(measured: Sequence[Measurement], mode: Mode, scores: Scores | None) -> dict[str, Any]:
    """The shares of one edit, including locality by distance."""
    known = scores or score(measured, mode)
    by_distance: dict[str, Any] = {kind: share_of(measured, mode, [kind]) for kind in DISTANCES}
    return {**{name: getattr(known, name) for name in SHARES}, **by_distance}


def header(title: str) -> str:
    names = "".join(f"{name[:9]:>10}" for name in NAMED)
    return f"\n{title:40}{'n':>4}{'neurons':>8}{names}{'d old':>8}{'p new':>8}"


def line(name: str, edits: Sequence[Sequence[Measurement]], mode: Mode, neurons: float) -> str:
    """Means over the edits, in per cent; d old: relative change of p(old answer) of the fact."""
    found = [shares(measured, mode, None) for measured in edits]
    cells = "".join(f"{100 * _mean(f[name] for f in found):10.1f}" for name in NAMED)
    own = [[m for m in measured if m.probe.kind not in DISTANCES] for measured in edits]
    change = _mean(m.after.p_old / m.before.p_old - 1 for one in own for m in one)
    new = _mean(m.after.p_new for one in own for m in one if m.after.p_new is not None)
    return f"{name:40}{len(edits):4}{neurons:8.1f}{cells}{100 * change:8.1f}{100 * new:8.1f}"


def both(name: str, outcomes: Sequence[EditOutcome], mode: Mode) -> Iterator[str]:
    """The edits, and the controls of those that have one."""
    neurons = fmean(len(o.plan.neurons) for o in outcomes) if outcomes else 0.0
    yield line(name, [o.measured for o in outcomes], mode, neurons)
    controls = [o.control_measured for o in outcomes if o.control]
    if controls:
        yield line("  random neurons", controls, mode, neurons)


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else float("nan")


def say(text: str) -> None:
    print(text, flush=True)


def best_strength(bench: Bench, facts: Sequence[StoredFact], selection: str) -> float:
    """The lambda with the highest harmonic mean."""
    found = []
    for strength in LAMBDAS:
        outcomes = bench.make(facts, Way("update", selection, strength))
        say(next(both(f"update, {selection}, lambda {strength:g}", outcomes, "update")))
        found.append((_mean(o.scores.harmonic for o in outcomes if o.scores), -strength))
    return -max(found)[1]


def best_layer(bench: Bench, facts: Sequence[StoredFact], layers: Sequence[int]) -> int:
    """The layer whose neurons give the best fit."""
    found = []
    for layer in layers:
        outcomes = bench.make(facts, Way("fit", f"layer:{layer}"))
        say(next(both(f"fit, layer:{layer}", outcomes, "fit")))
        found.append((_mean(o.scores.harmonic for o in outcomes if o.scores), -layer))
    return -max(found)[1]


def fit_constants(bench: Bench, facts: Sequence[StoredFact], keeps: Sequence[float]) -> None:
    """Compare fits with other constants, to choose the defaults of kndb.edit.fit."""
    for keep in keeps:
        for log_odds in LOG_ODDS:
            bench.interventions.changes.fit = partial(fit, keep=keep, log_odds=log_odds)
            outcomes = bench.make(facts, Way("fit", "sequential"))
            name = f"fit, keep {keep:g}, log-odds {log_odds:g}"
            say(next(both(name, outcomes, "fit")))
    bench.interventions.changes.fit = fit


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--lang", default="en", help="the language to edit from")
    parser.add_argument("--facts", type=int, default=60)
    parser.add_argument("--validation", type=int, default=20)
    parser.add_argument("--unrelated", type=int, default=20)
    parser.add_argument("--layers", help="tried for layer:N; default: all")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--selections", default="sequential,specific,layer")
    parser.add_argument("--at-once", default="10,100")
    parser.add_argument("--controls", type=int, default=30, help="number of facts with a control")
    parser.add_argument("--strength", type=float, help="lambda; default: chosen on the first facts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keeps", default="1,10,100", help="of fits, with --constants")
    parser.add_argument("--constants", action="store_true", help="try the defaults' alternatives")
    options = parser.parse_args()
    torch.set_num_threads(1)
    choice = ModelChoice(options.model, device="cpu")
    model = choice.load()
    model_id = ids.model_id(model.info.weights_sha256, model.info.architecture)
    run = run_of_model(options.db, model_id, model.info.name, None)
    with connect(options.db) as connection:
        source = EditSource(connection, run.run_id)
        bench = Bench(Interventions(model, choice.folder), source, options)
        facts = bench.facts(options.validation + options.facts)
        if options.constants:
            say(header(f"constants, {options.validation} facts"))
            keeps = [float(keep) for keep in options.keeps.split(",")]
            fit_constants(bench, facts[: options.validation], keeps)
            best_strength(bench, facts[: options.validation], "sequential")
            return
        if len(facts) <= options.validation:
            raise UsageError(f"Only {len(facts)} facts can be edited; ingest more.")
        compare(bench, facts[: options.validation], facts[options.validation :], options)


def compare(
    bench: Bench, first: Sequence[StoredFact], rest: Sequence[StoredFact], options: Any
) -> None:
    """Choose on the first facts, report on the rest."""
    info = bench.interventions.model.info
    say(f"{info.name}, run {bench.source.run_id}, seed {options.seed}, from {options.lang}")
    say(header(f"validation, {len(first)} facts"))
    modes: list[Mode] = options.modes.split(",")
    selections = options.selections.split(",")
    if "layer" in selections:
        layers = map(int, options.layers.split(",")) if options.layers else range(info.n_layers)
        at = selections.index("layer")
        selections[at] = f"layer:{best_layer(bench, first, list(layers))}"
    strengths = dict.fromkeys(selections, options.strength or DEFAULT_STRENGTH)
    if "update" in modes and options.strength is None:
        strengths = {name: best_strength(bench, first, name) for name in selections}
    say(header(f"reported, {len(rest)} facts"))
    made = {}
    for mode in modes:
        for selection in selections:
            way = Way(mode, selection, strengths[selection])
            told = f", lambda {way.strength:g}" if mode == "update" else ""
            outcomes = bench.make(rest, way, options.controls)
            for text in both(f"{mode}, {selection}{told}", outcomes, mode):
                say(text)
            made[way] = outcomes
    for n in map(int, options.at_once.split(",")):
        say(header(f"{n} at once"))
        for way, outcomes in made.items():
            if len(outcomes) >= n:
                edits = bench.at_once(outcomes[:n])
                say(line(f"{way.mode}, {way.selection}", edits, way.mode, float("nan")))


if __name__ == "__main__":
    main()
