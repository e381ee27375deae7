"""Exactness of scores and of knowledge neurons, compared with integration with many nodes.

    python benchmarks/exactness.py demo-masked --data demo
    python benchmarks/exactness.py DIR --data MPARAREL --langs en --prompts 200

DIR is a model's folder, MPARAREL an unpacked mParaRel folder. The reference has ``--nodes``
Gauss-Legendre nodes in each half of every path. It shares the model's rows with the engine (the
tests compare these with full forward passes), but none of the adaptive integration.
"""

from __future__ import annotations

import argparse
import random
import time

import numpy as np
import torch
from numpy.typing import NDArray

from kndb import load_model
from kndb.attribution import Settings, attribute
from kndb.attribution.quadrature import RULES, gauss_legendre
from kndb.models import Unusable
from kndb_ingest.datasets import read_dataset
from kndb_ingest.demo import facts_path


def halves(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``n`` Gauss-Legendre nodes in each half."""
    nodes, weights = gauss_legendre(n)
    return np.concatenate([nodes / 2, 0.5 + nodes / 2]), np.concatenate([weights, weights]) / 2


RULES["halves"] = halves


def usable(model: object, data: str, langs: list[str] | None, n: int) -> list[tuple[str, str]]:
    """Prompts that the model can be asked, drawn with a fixed seed."""
    prompts = list(read_dataset(facts_path() if data == "demo" else data, langs=langs).prompts)
    random.Random(0).shuffle(prompts)
    found: list[tuple[str, str]] = []
    for prompt in prompts:
        try:
            model.targets(prompt.text, prompt.answer)  # type: ignore[attr-defined]
        except Unusable:
            continue
        found.append((prompt.text, prompt.answer))
        if len(found) == n:
            break
    return found


def main() -> None:
    """Compare, and print one line of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--langs", type=lambda text: text.split(","))
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=63)
    parser.add_argument("--tolerance", type=float, default=0.01)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, device="cpu")
    prompts = usable(model, options.data, options.langs, options.prompts)
    start = time.perf_counter()
    found = {f.index: f for f in attribute(model, prompts, Settings(tolerance=options.tolerance))}
    seconds = time.perf_counter() - start
    reference = Settings(quadrature="halves", nodes=options.nodes, tolerance=None)
    largest, distance, overlap, unsure = [], [], [], 0
    for exact in attribute(model, prompts, reference):
        unsure += exact.completeness > options.tolerance
        scores, difference = exact.scores, found[exact.index].scores - exact.scores
        largest.append(float(np.abs(difference).max() / scores.max()))
        distance.append(float(np.linalg.norm(difference) / np.linalg.norm(scores)))
        ours, theirs = (s > 0.2 * s.max() for s in (found[exact.index].scores, scores))
        overlap.append(float((ours & theirs).sum() / (ours | theirs).sum()))
    missed = sum(max(f.completeness, f.score_error) > options.tolerance for f in found.values())
    print(
        f"{len(prompts)} prompts, {seconds / len(prompts):.2f} s each; over the tolerance: {missed}"
        f"; largest error of a neuron / top score: {max(largest):.2e} at worst, "
        f"{np.median(largest):.2e} median; L2: {max(distance):.2e} at worst; largest estimate "
        f"{max(f.score_error for f in found.values()):.2e}; Jaccard {np.mean(overlap):.4f} on "
        f"average, {min(overlap):.3f} at worst; prompts whose reference misses: {unsure}"
    )


if __name__ == "__main__":
    main()
