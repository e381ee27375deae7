"""What a GPU makes of attribution: the whole table for a card, in one command.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --device cpu --prompts 4 --long 0 --shapes GPT-2

Models have random weights in the shapes of BERT-base (mBERT's vocabulary), GPT-2 and Llama 3.2 1B;
prompts have 12 tokens. Printed are: the largest difference of a score in float32 from the CPU's,
relative to the prompt's top score; prompts a second in float32 and bfloat16, with the share of the
rate at which the card multiplies large matrices of that type; the peak of memory after a tenth of
``--long`` prompts and after all of them; what ``--memory`` leaves of it; and whether a budget far
above the card's memory is halved until it fits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from real_models import count_operations
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from attribution import Words, prompts
from kndb.attribution import attribute
from kndb.models.architectures import ARCHITECTURES
from kndb.models.loading import adapt

MIB = 2**20
COUNTED = 4
"""Prompts whose operations are counted."""

SHAPES: dict[str, tuple[str, Callable[[], Any]]] = {
    "BERT-base": ("masked", lambda: BertForMaskedLM(BertConfig(vocab_size=119_547))),
    "GPT-2": ("causal", lambda: GPT2LMHeadModel(GPT2Config())),
    "Llama-1B": (
        "causal",
        lambda: LlamaForCausalLM(
            LlamaConfig(
                vocab_size=128_256,
                hidden_size=2048,
                intermediate_size=8192,
                num_hidden_layers=16,
                num_attention_heads=32,
                num_key_value_heads=8,
            )
        ),
    ),
}


def model_of(shape: str, device: str, dtype: torch.dtype) -> Any:
    """A model of this shape, the same weights each time."""
    torch.manual_seed(0)
    family, build = SHAPES[shape]
    hf = build().eval()
    architecture = ARCHITECTURES[hf.config.model_type]
    return adapt(hf.to(device, dtype), Words(family == "masked"), architecture, shape)


def asked(shape: str, n: int) -> list[tuple[str, str]]:
    return prompts(SHAPES[shape][0], n)


def run(model: Any, some: Sequence[tuple[str, str]], memory: int | None = None) -> list[Any]:
    return list(attribute(model, some, memory=memory, words=False))


def synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """Operations a second in products of large matrices."""
    n = 1024 if device == "cpu" else 8192
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(7):
        synchronise(device)
        begun = time.perf_counter()
        a @ b
        synchronise(device)
        times.append(time.perf_counter() - begun)
    return 2 * n**3 / float(np.median(times))


def equality(shape: str, device: str) -> None:
    some = asked(shape, 2)
    here, there = (run(model_of(shape, where, torch.float32), some) for where in ("cpu", device))
    worst = max(
        float(np.abs(a.scores - b.scores).max() / a.scores.max())
        for a, b in zip(here, there, strict=True)
    )
    print(f"| {shape} | float32 | differs from the CPU by {worst:.1e} of the top score |")


def speed(shape: str, device: str, dtype: torch.dtype, n: int) -> None:
    model, some = model_of(shape, device, dtype), asked(shape, n)
    run(model, some[:COUNTED])
    synchronise(device)
    begun = time.perf_counter()
    found = run(model, some)
    synchronise(device)
    seconds = time.perf_counter() - begun
    operations = count_operations(lambda: run(model, some[:COUNTED])) / COUNTED * n
    inexact = sum(not max(f.completeness, f.score_error) <= 0.01 for f in found)
    share = operations / seconds / matrix_rate(device, dtype)
    name = str(dtype).removeprefix("torch.")
    print(
        f"| {shape} | {name} | {n / seconds:.2f} prompts/s, {share:.0%} of the matrix rate, "
        f"{inexact} of {n} above the tolerance |",
        flush=True,
    )


def peak_above(work: Callable[[], object]) -> float:
    """MiB at the peak of the work, above what the model's weights take."""
    weights = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - weights) / MIB


def memory(shape: str, device: str, n: int) -> None:
    model, some = model_of(shape, device, torch.float32), asked(shape, n)
    few, many = (peak_above(partial(run, model, some[:k])) for k in (n // 10, n))
    print(f"| {shape} | memory | {few:.0f} MiB after {n // 10:,} prompts, {many:.0f} after {n:,} |")
    for budget in (256, 1024, 4096):
        used = peak_above(partial(run, model, some[:256], budget * MIB))
        print(f"| {shape} | --memory {budget} | {used:.0f} MiB at the peak |", flush=True)
    torch.cuda.set_per_process_memory_fraction(0.1)
    usual, huge = run(model, some[:256]), run(model, some[:256], 2**50)
    torch.cuda.set_per_process_memory_fraction(1.0)
    same = all(
        np.abs(a.scores - b.scores).max() <= 1e-4 * a.scores.max()
        for a, b in zip(usual, huge, strict=True)
    )
    print(f"| {shape} | out of memory | halved, scores {'the same' if same else 'DIFFERENT'} |")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=[*SHAPES])
    parser.add_argument("--prompts", type=int, default=256, help="for the speed")
    parser.add_argument("--long", type=int, default=10_000, help="for the memory; 0 for none")
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device != "cpu" else "the CPU"
    print(f"{name}, torch {torch.__version__}\n\n| | | |\n|---|---|---|")
    for shape in options.shapes:
        equality(shape, options.device)
        for dtype in (torch.float32, torch.bfloat16):
            speed(shape, options.device, dtype, options.prompts)
    if options.long and options.device != "cpu":
        memory("BERT-base", options.device, options.long)


if __name__ == "__main__":
    main()
