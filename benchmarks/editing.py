"""The four measures of edits on a demo model, for the ways of cross-lingual editing, and timings.

    kndb ingest --model demo-masked --dataset demo --db demo.duckdb
    python benchmarks/editing.py demo-masked --db demo.duckdb --facts 100

Facts are drawn by the seed; each gets the object of another fact of its relation. ``--sweep``
tries several lambdas instead, on facts of another seed, which is how the default was chosen. The
control does the same to as many random neurons of the same layers.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from kndb.editing.scores import Scores
from kndb.facts import content_id
from kndb.models import load_model
from kndb.store import ids
from kndb.store.database import connect
from kndb.store.edit_source import EditSource, StoredFact
from kndb.store.searches import run_to_search
from kndb_ingest import demo
from kndb_ingest.edit_plan import EditSettings, plan_edit
from kndb_ingest.edits import Outcome, Surgeon

WAYS = ("one-language", "sequential", "language-independent")
SHARES = ("reliability", "generality", "transfer", "locality", "harmonic")
SWEEP = (0.2, 0.4, 0.6, 1.0)


def drawn_facts(source: EditSource, n: int, seed: int) -> list[StoredFact]:
    keys = sorted(source.keys(), key=lambda key: content_id("benchmark", seed, key))
    return [source.fact(key) for key in keys[:n]]


def another_answer(source: EditSource, fact: StoredFact, lang: str, seed: int) -> str:
    """The label of another object of the fact's relation."""
    sql = """
        SELECT DISTINCT answer FROM prompt JOIN fact USING (fact_id)
        WHERE relation_id = ? AND object_id <> ? AND lang = ? ORDER BY answer
    """
    rows = source._connection.execute(sql, [fact.relation_id, fact.object_id, lang]).fetchall()
    return str(random.Random(f"{seed} {fact.key}").choice(rows)[0])


def make(
    surgeon: Surgeon, source: EditSource, facts: Sequence[StoredFact], asked: EditSettings
) -> list[Outcome]:
    outcomes = []
    for fact in facts:
        settings = asked
        if asked.mode == "update":
            target = another_answer(source, fact, str(asked.target_lang), asked.seed)
            settings = replace(asked, target=target)
        plan = plan_edit(source, fact, settings)
        # Languages that were not edited would say nothing about the ways: they are not asked.
        shown = tuple(one for one in plan.asked if one.lang in plan.langs)
        outcomes.append(surgeon.carry_out(0, replace(plan, asked=shown), settings))
    return outcomes


def line(name: str, outcomes: Sequence[Outcome], which: str) -> str:
    """Means over the edits that were made, in percent."""
    found = [getattr(o, which) for o in outcomes if getattr(o, which) is not None]
    neurons = fmean(len(o.plan.neurons) for o in outcomes if o.scores) if found else 0
    shares = "".join(f"{100 * _mean(found, share):8.1f}" for share in SHARES)
    before, after = _mean(found, "perplexity_before"), _mean(found, "perplexity_after")
    return f"{name:32}{len(found):6}{neurons:8.1f}{shares}{before:9.3f}{after:9.3f}"


def _mean(scores: Sequence[Scores], name: str) -> float:
    assert name in {field.name for field in fields(Scores)}
    known = [getattr(one, name) for one in scores if getattr(one, name) is not None]
    return fmean(known) if known else float("nan")


def header() -> str:
    names = "".join(f"{share[:7]:>8}" for share in SHARES)
    return f"{'':32}{'facts':>6}{'neurons':>8}{names}{'ppl':>9}{'after':>9}"


def compare(surgeon: Surgeon, source: EditSource, options: Any) -> None:
    """The three ways on the same facts; shared neurons are not there for every fact."""
    langs = tuple(options.langs.split(","))
    facts = drawn_facts(source, options.facts, options.seed)
    for mode in options.modes.split(","):
        print(f"\n{mode}, {options.langs}, from {langs[0]}\n{header()}")
        shared: set[int] = set()
        made = {}
        for way in WAYS:
            asked = EditSettings(
                mode,
                way,
                target="" if mode == "update" else None,
                target_lang=langs[0],
                langs=langs,
                strength=options.strength,
                unrelated=options.unrelated,
                seed=options.seed,
            )
            made[way] = make(surgeon, source, facts, asked)
            print(line(way, made[way], "scores"))
            print(line("  random neurons", made[way], "control"), flush=True)
        shared = {o.plan.fact.fact_id for o in made["language-independent"] if o.scores}
        print(f"of these the {len(shared)} facts with language-independent neurons")
        for way in WAYS:
            same = [o for o in made[way] if o.plan.fact.fact_id in shared]
            print(line(way, same, "scores"), flush=True)


def sweep(surgeon: Surgeon, source: EditSource, options: Any) -> None:
    """Lambdas on other facts than those reported."""
    langs = tuple(options.langs.split(","))
    facts = drawn_facts(source, options.facts, options.seed + 1)
    print(f"\nlambda, sequential, {options.langs}, {len(facts)} facts\n{header()}")
    for strength in SWEEP:
        asked = EditSettings(
            "update",
            target="",
            target_lang=langs[0],
            langs=langs,
            strength=strength,
            unrelated=options.unrelated,
            seed=options.seed + 1,
        )
        print(line(str(strength), make(surgeon, source, facts, asked), "scores"), flush=True)


def timing(surgeon: Surgeon, source: EditSource, options: Any) -> None:
    """One edit with 50 unrelated facts in every language, its control included; then many."""
    asked = EditSettings("update", target="", target_lang="en", seed=options.seed)
    facts = drawn_facts(source, options.timed, options.seed)
    make(surgeon, source, facts[:1], asked)
    start = time.perf_counter()
    (one,) = make(surgeon, source, facts[1:2], asked)
    first = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    for fact in facts:
        make(surgeon, source, [fact], asked)
    every = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\none edit, {len(one.plan.asked)} prompts, twice: {first:.2f} s; {len(facts)} edits: "
        f"{every:.1f} s, {every / len(facts):.2f} s each; peak {memory:.0f} MiB after two, "
        f"{peak:.0f} MiB after all"
    )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=list(demo.MODELS))
    parser.add_argument("--db", type=Path, required=True)
    parser.add_argument("--facts", type=int, default=100)
    parser.add_argument("--modes", default="update,erase,suppress,enhance")
    parser.add_argument("--langs", default="en,zh")
    parser.add_argument("--strength", type=float, default=EditSettings("erase").strength)
    parser.add_argument("--unrelated", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--timed", type=int, default=0, help="time so many edits instead")
    parser.add_argument("--sweep", action="store_true", help="try several lambdas instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = demo.MODELS[options.model]
    model = load_model(folder, device="cpu")
    model_id = ids.model_id(model.info.weights_sha256, model.info.architecture)
    run = run_to_search(options.db, model_id, model.info.name, None)
    surgeon = Surgeon(model, folder)
    with connect(options.db) as connection:
        source = EditSource(connection, run.run_id)
        print(options.model, f"run {run.run_id}, seed {options.seed}")
        work = timing if options.timed else sweep if options.sweep else compare
        work(surgeon, source, options)


if __name__ == "__main__":
    main()
