"""How exact scores are: the largest error of a neuron, and whether knowledge neurons stay the same.

    python benchmarks/exactness.py demo-masked --data demo
    python benchmarks/exactness.py DIR --data MPARAREL --langs en --first 6 --tokens 1

DIR is a model's folder, MPARAREL an unpacked mParaRel folder. The reference is a fixed rule:
``--nodes`` Gauss-Legendre nodes in either half of every path. With ``--first``, every path gets
that many nodes in either half, and only paths that are not complete within 1e-3 get ``--nodes``.
Engine and reference run rows of the model with the same code, which the tests compare with full
forward passes; the reference uses nothing of the adaptive integration. A line is printed for every
``--chunk`` prompts, over all prompts so far. ``--skip`` leaves out the first of the drawn prompts.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kndb import load_model
from kndb.attribution import Attribution, Settings, attribute, engine
from kndb.attribution.integrated_gradients import Integrals, residual_scale
from kndb.attribution.paths import Follower
from kndb.attribution.quadrature import gauss_legendre
from kndb.models import Unusable
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import facts_path

COMPLETE = 1e-3
"""A path that is this complete after ``--first`` nodes gets no more."""

PATHS_TOGETHER = 256
"""Their gradients at all nodes are in memory at once."""


def halves(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``n`` Gauss-Legendre nodes in either half."""
    nodes, weights = gauss_legendre(n)
    return np.concatenate([nodes / 2, 0.5 + nodes / 2]), np.concatenate([weights, weights]) / 2


def _integral(follower: Follower, chosen: Tensor, nodes: int) -> Tensor:
    """Integrals of the gradient along the chosen paths, ``(chosen, size)``."""
    alphas, weights = (torch.from_numpy(x).float() for x in halves(nodes))
    slopes = follower.slopes(chosen.repeat_interleave(len(alphas)), alphas.repeat(len(chosen)))[1]
    by_path = slopes.reshape(len(chosen), len(alphas), slopes.shape[1])
    return torch.einsum("pns,n->ps", by_path, weights)


def reference(rounds: list[int]) -> Callable[[Follower, Tensor, Settings], Integrals]:
    """Integration by fixed rules in halves; each round takes the paths that are not complete."""

    def integrate(follower: Follower, observed_p: Tensor, settings: Settings) -> Integrals:
        paths = follower.paths
        p = observed_p[paths.targets]
        change = p - follower.start_values()
        span = paths.ends[paths.end_rows].float() - paths.starts.float()
        total, residual = torch.zeros_like(span), torch.full_like(p, torch.inf)
        for nodes in rounds:
            chosen = (residual > COMPLETE).nonzero()[:, 0]
            for part in torch.split(chosen, PATHS_TOGETHER):
                total[part] = _integral(follower, part, nodes)
            gap = ((total * span).sum(1) - change).abs()
            residual = gap / residual_scale(change, p)
        return Integrals(total, residual, torch.full_like(observed_p, torch.nan))

    return integrate


def usable(
    model: Any, data: str, langs: list[str] | None, n: int, tokens: int
) -> list[tuple[str, str]]:
    """Prompts with answers of at most ``tokens`` tokens, drawn with a fixed seed."""
    prompts = list(read_dataset(facts_path() if data == "demo" else data, langs=langs).prompts)
    random.Random(0).shuffle(prompts)
    found: list[tuple[str, str]] = []
    for prompt in prompts:
        try:
            targets = model.targets(prompt.text, prompt.answer)
        except Unusable:
            continue
        if len(targets) <= tokens:
            found.append((prompt.text, prompt.answer))
        if len(found) == n:
            break
    return found


@dataclass
class Comparison:
    """Engine against reference, a value for every prompt."""

    tolerance: float
    seconds: float = 0.0
    missed: int = 0
    unsure: int = 0
    estimates: list[float] = field(default_factory=list)
    largest: list[float] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    overlap: list[float] = field(default_factory=list)

    def add(self, found: Attribution, exact: Attribution) -> None:
        """Compare the scores of one prompt."""
        scores, difference = exact.scores, found.scores - exact.scores
        self.missed += max(found.completeness, found.score_error) > self.tolerance
        self.unsure += exact.completeness > self.tolerance
        self.estimates.append(found.score_error)
        self.largest.append(float(np.abs(difference).max() / scores.max()))
        self.distance.append(float(np.linalg.norm(difference) / np.linalg.norm(scores)))
        ours, theirs = (s > 0.2 * s.max() for s in (found.scores, scores))
        self.overlap.append(float((ours & theirs).sum() / (ours | theirs).sum()))

    def line(self) -> str:
        """All so far."""
        n = len(self.largest)
        return (
            f"{n} prompts, {self.seconds / n:.2f} s each; over the tolerance: {self.missed}"
            f"; largest error of a neuron / top score: {max(self.largest):.2e} at worst, "
            f"{np.median(self.largest):.2e} median; L2: {max(self.distance):.2e} at worst; "
            f"largest estimate {max(self.estimates):.2e}; Jaccard {np.mean(self.overlap):.4f} on "
            f"average, {min(self.overlap):.3f} at worst; prompts whose reference misses: "
            f"{self.unsure}"
        )


def compare(model: Any, prompts: list[tuple[str, str]], options: argparse.Namespace) -> None:
    """Compare chunk by chunk, and print a line after each."""
    rounds = [options.first] * (options.first > 0) + [options.nodes]
    engine.integrate_fixed = reference(rounds)  # type: ignore[attr-defined,assignment]
    comparison = Comparison(options.tolerance)
    for first in range(0, len(prompts), options.chunk):
        chunk = prompts[first : first + options.chunk]
        start = time.perf_counter()
        found = {
            f.index: f
            for f in attribute(model, chunk, Settings(tolerance=options.tolerance), words=False)
        }
        comparison.seconds += time.perf_counter() - start
        for exact in attribute(model, chunk, Settings(tolerance=None), words=False):
            comparison.add(found[exact.index], exact)
        print(comparison.line(), flush=True)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--langs", type=lambda text: text.split(","))
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=99, help="the longest answers to take")
    parser.add_argument("--nodes", type=int, default=63)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--chunk", type=int, default=20)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, device="cpu")
    prompts = usable(model, options.data, options.langs, options.prompts, options.tokens)
    compare(model, prompts[options.skip :], options)


if __name__ == "__main__":
    main()
