"""What bfloat16 saves on a processor, and what it changes, against float32 in one run.

    python benchmarks/precision.py causal --prompts 4
    python benchmarks/precision.py DIR --prompts 12

``masked`` and ``causal`` are the random weights of ``attribution.py``; DIR is a model's folder,
asked for facts of the demo in English, of one token. Processor time of all threads, once the
kernels are compiled. Knowledge neurons are those above 0.2 of the highest score of the prompt;
their Jaccard index with those of float32 is a mean over prompts, and the error of the scores is
the largest relative L2 distance.
``products only`` keeps weights and all sums in float32 and multiplies matrices in bfloat16
(``torch.autocast``).
"""

from __future__ import annotations

import argparse
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from exactness import usable
from numpy.typing import NDArray

from attribution import VOCABULARY, Words, hf_model, prompts
from kndb import load_model
from kndb.attribution import Settings, attribute
from kndb.models.architectures import BERT, GPT2
from kndb.models.loading import adapt
from kndb.store.refine import DEFAULT_TAU

Scores = list[NDArray[np.float32]]
WAYS = {"amig": Settings(), "one path per layer": Settings(baseline="mean")}


class Run(NamedTuple):
    """The scores of every prompt, and what they took."""

    scores: Scores
    cpu: float


def loaded(name: str, dtype: torch.dtype) -> Any:
    """The model, adapted for kndb."""
    if name not in VOCABULARY:
        return load_model(name, dtype=str(dtype).removeprefix("torch."))
    masked = name == "masked"
    return adapt(hf_model(name).to(dtype), Words(masked), BERT if masked else GPT2, name)


def run(
    model: Any,
    questions: list[tuple[str, str]],
    settings: Settings,
    within: AbstractContextManager[Any],
) -> Run:
    """Attribute all prompts, after a run of them that is not counted."""
    with within:
        list(attribute(model, questions, settings, words=False))
        begun = time.process_time()
        scores = [found.scores for found in attribute(model, questions, settings, words=False)]
        return Run(scores, time.process_time() - begun)


def known(scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which neurons are knowledge neurons of the prompt."""
    return np.asarray(scores > DEFAULT_TAU * scores.max())


def jaccard(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Share of the knowledge neurons of either that are those of both."""
    first, second = known(one), known(other)
    return float((first & second).sum() / max(1, (first | second).sum()))


def error(exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> float:
    """Relative L2 distance."""
    return float(np.linalg.norm(exact - rounded) / np.linalg.norm(exact))


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = {dtype: loaded(args.model, dtype) for dtype in (torch.float32, torch.bfloat16)}
    if args.model in VOCABULARY:
        questions = prompts(args.model, args.prompts)
    else:
        questions = usable(models[torch.float32], "demo", ["en"], args.prompts, tokens=1)
    print("| | | cpu s | speed | Jaccard, mean (least) | error |\n|---|---|---|---|---|---|")
    for way, settings in WAYS.items():
        exact = run(models[torch.float32], questions, settings, nullcontext())
        print(f"| {way} | float32 | {exact.cpu:.1f} | 1.0 | | |", flush=True)
        others: dict[str, tuple[Any, AbstractContextManager[Any]]] = {
            "bfloat16": (models[torch.bfloat16], nullcontext()),
            "products only": (models[torch.float32], torch.autocast("cpu", torch.bfloat16)),
        }
        for label, (model, within) in others.items():
            found = run(model, questions, settings, within)
            pairs = list(zip(exact.scores, found.scores, strict=True))
            same = [jaccard(*pair) for pair in pairs]
            print(
                f"| {way} | {label} | {found.cpu:.1f} | {exact.cpu / found.cpu:.2f} "
                f"| {np.mean(same):.3f} ({min(same):.3f}) "
                f"| {max(error(*pair) for pair in pairs):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
