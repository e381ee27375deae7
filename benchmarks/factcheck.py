"""The fact check compared with the bare engine: claims per second, and memory over time.

    python benchmarks/factcheck.py demo.duckdb --claims 10000

The database must be calibrated (`kndb factcheck calibrate`). Both run the same prompts in turns, so
that other work on the machine affects both alike.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable

import torch

from kndb.attribution import attribute
from kndb.factcheck import METHODS, FactChecker
from kndb.models import load_model
from kndb.store.prompts import read_prompts

ROUND = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--model", default="demo-masked")
    parser.add_argument("--method", default="degenerate", choices=METHODS)
    parser.add_argument("--claims", type=int, default=10_000)
    parser.add_argument("--run", type=int, required=True, help="the run whose prompts are used")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(asked.model)
    checker = FactChecker(asked.database, model, method=asked.method)
    prompts = [
        prompt
        for prompt in read_prompts(asked.database, asked.run)
        if (prompt.relation_lang, asked.method) in checker.calibration.limits
    ]
    endless = itertools.cycle(prompts)
    seconds = {"engine": 0.0, "check": 0.0}
    verdicts: dict[str, int] = {}
    for done in range(0, asked.claims, ROUND):
        part = list(itertools.islice(endless, min(ROUND, asked.claims - done)))
        pairs = [(prompt.text, prompt.answer) for prompt in part]

        def engine(pairs: list[tuple[str, str]] = pairs) -> None:
            for _ in attribute(model, pairs, words=False):
                pass

        seconds["engine"] += timed(engine)
        claims = [text.replace("[MASK]", answer) for text, answer in pairs]

        def check(claims: list[str] = claims) -> None:
            for verdict in checker.check(claims):
                verdicts[verdict.verdict] = verdicts.get(verdict.verdict, 0) + 1

        seconds["check"] += timed(check)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        n = done + len(part)
        rates = {name: n / spent for name, spent in seconds.items()}
        print(
            f"{n:6d} claims  engine {rates['engine']:.0f}/s  check {rates['check']:.0f}/s  "
            f"ratio {rates['check'] / rates['engine']:.2f}  peak memory {peak:.0f} MiB",
            flush=True,
        )
    print(verdicts)


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
