"""How well edits of a demo model do, for each way of cross-lingual editing.

    kndb ingest --model demo-masked --dataset demo --limit 400 --db demo.duckdb
    OMP_NUM_THREADS=1 python benchmarks/editing.py demo-masked --db demo.duckdb

All ways edit the same facts: those with language-independent neurons, in an order drawn with the
seed. The first of them are for validation: they determine a lambda for each way, by the harmonic
mean. The rest are reported, and determine nothing. A fact gets the object of another fact of its
relation.

Ways differ in how many neurons they change. So each is also cut to the k strongest, where k is the
number of the fact's language-independent neurons. The control does the same to the same number of
random neurons in the same layers.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from kndb.edit.intervention import EditOutcome, Interventions
from kndb.edit.plan import DEFAULT_STRENGTH, EditSettings, Plan, plan_edit
from kndb.edit.scores import OTHER_RELATIONS, REWRITING, Measurement
from kndb.edit.selection import Part
from kndb.facts import content_id
from kndb.models import load_model
from kndb.models.places import EMBEDDED_MODELS, locate
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.edit_source import EditSource, StoredFact
from kndb.store.runs import run_of_model

SHARES = ("reliability", "generality", "transfer", "locality", "harmonic")
LAMBDAS = (0.4, 0.8, 1.6, 3.2)


@dataclass(frozen=True)
class Way:
    """A way of cross-lingual editing; ``cut``: k neurons in ``each`` language, or ``in all``."""

    selection: str
    cut: str = ""

    def __str__(self) -> str:
        return f"{self.selection}, k {self.cut}" if self.cut else self.selection


SHARED = Way("language-independent")
WHOLE = (Way("one-language"), Way("sequential"), SHARED)
CUT = (Way("one-language", "in all"), Way("sequential", "in all"), Way("sequential", "each"))


@dataclass(frozen=True)
class Case:
    """An edit to make: its plan, and the requested settings."""

    plan: Plan
    settings: EditSettings


class Bench:
    """Plans and makes the edits of one run in some languages, the first of them the source."""

    def __init__(self, interventions: Interventions, source: EditSource, options: Any) -> None:
        self.interventions = interventions
        self.source = source
        self.langs = tuple(options.langs.split(","))
        self.seed = options.seed
        self.unrelated = options.unrelated

    def facts(self, n: int) -> tuple[list[StoredFact], int]:
        """The first ``n`` facts with language-independent neurons; how many were examined."""
        keys = sorted(self.source.keys(), key=lambda key: content_id("benchmark", self.seed, key))
        found: list[StoredFact] = []
        for looked_at, key in enumerate(keys, 1):
            fact = self.source.fact(key)
            if self._plan(fact, self._asked("erase", fact, SHARED)).reason is None:
                found.append(fact)
            if len(found) == n:
                return found, looked_at
        raise SystemExit(f"Only {len(found)} facts have language-independent neurons, not {n}.")

    def cases(self, facts: Sequence[StoredFact], mode: str, way: Way) -> list[Case]:
        """One edit per fact, in this way."""
        cases = []
        for fact in facts:
            asked = self._asked(mode, fact, way)
            cases.append(Case(self._cut(fact, asked, way), asked))
        return cases

    def make(self, cases: Sequence[Case], strength: float) -> list[EditOutcome]:
        return [
            self.interventions.carry_out(0, case.plan, replace(case.settings, strength=strength))
            for case in cases
        ]

    def _asked(self, mode: str, fact: StoredFact, way: Way) -> EditSettings:
        return EditSettings(
            mode,  # type: ignore[arg-type]
            way.selection,
            target=self._another_answer(fact) if mode in REWRITING else None,
            target_lang=self.langs[0],
            langs=self.langs,
            unrelated=self.unrelated,
            seed=self.seed,
        )

    def _another_answer(self, fact: StoredFact) -> str:
        """The label of another object of the fact's relation."""
        sql = """
            SELECT DISTINCT answer FROM prompt JOIN fact USING (fact_id)
            WHERE relation_id = ? AND object_id <> ? AND lang = ? ORDER BY answer
        """
        asked = [fact.relation_id, fact.object_id, self.langs[0]]
        rows = self.source._connection.execute(sql, asked).fetchall()
        return str(random.Random(f"{self.seed} {fact.key}").choice(rows)[0])

    def _plan(self, fact: StoredFact, asked: EditSettings) -> Plan:
        plan = plan_edit(self.source, fact, asked)
        # Languages that were not edited are irrelevant to the ways, so they are not measured.
        return replace(plan, probes=tuple(one for one in plan.probes if one.lang in plan.langs))

    def _cut(self, fact: StoredFact, asked: EditSettings, way: Way) -> Plan:
        if not way.cut:
            return self._plan(fact, asked)
        k = len(self._plan(fact, replace(asked, neurons=SHARED.selection)).neurons)
        if way.cut == "each" or way.selection == "one-language":
            return self._plan(fact, replace(asked, top=k))
        plan = self._plan(fact, asked)
        n = len(self.langs)
        in_turn = {lang: k // n + (place < k % n) for place, lang in enumerate(self.langs)}
        return replace(plan, parts=tuple(self._top(fact, asked, p, in_turn) for p in plan.parts))

    def _top(self, fact: StoredFact, asked: EditSettings, part: Part, n: dict[str, int]) -> Part:
        (lang,) = part.langs
        if not n[lang]:
            return replace(part, neurons=())
        plan = self._plan(fact, replace(asked, top=n[lang]))
        return next(other for other in plan.parts if other.langs == part.langs)


def header(title: str) -> str:
    shares = "".join(f"{share[:7]:>8}" for share in SHARES)
    return (
        f"\n{title:34}{'lambda':>7}{'neurons':>8}{shares}{'d own':>8}{'d langs':>8}{'d other':>8}"
    )


def line(
    name: str, outcomes: Sequence[EditOutcome], strength: float | None, which: str = "scores"
) -> str:
    """Means over the facts, in percent; d: relative change of the old answer's probability."""
    scores = [getattr(o, which) for o in outcomes]
    measured = [o.measured if which == "scores" else o.control_measured for o in outcomes]
    shares = "".join(f"{100 * _mean(getattr(s, share) for s in scores):8.1f}" for share in SHARES)
    kinds = (("own", "paraphrase"), ("language",), OTHER_RELATIONS)
    changes = "".join(f"{100 * _mean(_change(m, kind) for m in measured):8.1f}" for kind in kinds)
    neurons = _mean(len(o.plan.neurons) for o in outcomes)
    told = "" if strength is None else f"{strength:g}"
    return f"{name:34}{told:>7}{neurons:8.1f}{shares}{changes}"


def _change(measured: Iterable[Measurement], kinds: Sequence[str]) -> float | None:
    changes = [m.after.p_old / m.before.p_old - 1 for m in measured if m.probe.kind in kinds]
    return fmean(changes) if changes else None


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return fmean(known) if known else float("nan")


def both(name: str, outcomes: Sequence[EditOutcome], strength: float | None) -> Iterator[str]:
    """The edits, and their controls if every edit has one."""
    yield line(name, outcomes, strength)
    if all(o.control for o in outcomes):
        yield line("  random neurons", outcomes, strength, "control")


def chosen(
    bench: Bench, facts: Sequence[StoredFact], say: Callable[[str], None]
) -> dict[Way, float]:
    """For each way, the lambda with the highest harmonic mean on these facts."""
    say(header(f"validation, {len(facts)} facts"))
    best = {}
    for way in (*WHOLE, *CUT):
        cases = bench.cases(facts, "update", way)
        found = []
        for strength in LAMBDAS:
            outcomes = bench.make(cases, strength)
            say(line(str(way), outcomes, strength))
            found.append((_mean(o.scores.harmonic for o in outcomes if o.scores), strength))
        best[way] = max(found, key=lambda one: (one[0], -one[1]))[1]
    return best


def report(
    bench: Bench, facts: Sequence[StoredFact], best: dict[Way, float], say: Callable[[str], None]
) -> None:
    """Every mode in every way on the same facts; erasing has the same effect as suppressing."""
    for mode in ("update", "fit", "suppress", "enhance"):
        say(header(f"{mode}, {len(facts)} facts"))
        for way in (*WHOLE, *CUT):
            cases = bench.cases(facts, mode, way)
            strengths = [DEFAULT_STRENGTH, best[way]] if mode == "update" else [None]
            for strength in dict.fromkeys(strengths):
                outcomes = bench.make(cases, strength or DEFAULT_STRENGTH)
                for text in both(str(way), outcomes, strength):
                    say(text)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=EMBEDDED_MODELS)
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--facts", type=int, default=100)
    parser.add_argument("--validation", type=int, default=30)
    parser.add_argument("--langs", default="en,zh", help="the first is the one to edit from")
    parser.add_argument("--unrelated", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = locate(options.model)[0]
    model = load_model(folder, device="cpu")
    model_id = ids.model_id(model.info.weights_sha256, model.info.architecture)
    run = run_of_model(options.db, model_id, model.info.name, None)

    def say(text: str) -> None:
        print(text, flush=True)

    with connect(options.db) as connection:
        source = EditSource(connection, run.run_id)
        bench = Bench(Interventions(model, folder), source, options)
        facts, looked_at = bench.facts(options.validation + options.facts)
        say(
            f"{options.model}, run {run.run_id}, seed {options.seed}, {options.langs} from "
            f"{bench.langs[0]}: {len(facts)} of {looked_at} facts have language-independent neurons"
        )
        best = chosen(bench, facts[: options.validation], say)
        report(bench, facts[options.validation :], best, say)


if __name__ == "__main__":
    main()
