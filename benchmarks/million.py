"""What a million prompts would take on this machine, for four sizes of models: docs/million.md.

    python benchmarks/million.py --threads 1

Models have random weights and prompts 12 tokens, as in gpu.py. The first three are measured; Llama
3.1 8B, which may not fit here, is extrapolated from Llama 3.2 1B by operations: every row runs
through the layers above its own, and the head. Real models bend more than random ones and need
more nodes: RESULTS.md says how many on two of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
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


def llama(vocabulary: int, width: int, inner: int, layers: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=8,
    )


@dataclass(frozen=True)
class Size:
    """A model's size, and how it is built if it is to be measured."""

    name: str
    family: str
    config: Any
    build: Callable[[Any], Any] | None

    @property
    def row(self) -> float:
        """Weights that a row runs through on average: half of the layers, and the head."""
        found = self.config
        width = found.hidden_size
        inner = getattr(found, "intermediate_size", None) or 4 * width
        gated = 3 if found.model_type == "llama" else 2
        heads = getattr(found, "num_key_value_heads", found.num_attention_heads)
        attention = 2 * width * width * (1 + heads / found.num_attention_heads)
        layer = attention + gated * width * inner
        return float(found.num_hidden_layers / 2 * layer + found.vocab_size * width)


SIZES = [
    Size("BERT-base", "masked", BertConfig(vocab_size=119_547), BertForMaskedLM),
    Size(
        "mGPT",
        "causal",
        GPT2Config(vocab_size=100_000, n_embd=2048, n_layer=24, n_head=16),
        GPT2LMHeadModel,
    ),
    Size("Llama 3.2 1B", "causal", llama(128_256, 2048, 8192, 16), LlamaForCausalLM),
    Size("Llama 3.1 8B", "causal", llama(128_256, 4096, 14_336, 32), None),
]
OF = 2
"""The size that the last is extrapolated from."""


def measured(size: Size, n: int, device: str, dtype: torch.dtype) -> float:
    """Seconds a prompt, in one batch of ``n``."""
    assert size.build
    torch.manual_seed(0)
    hf = size.build(size.config).eval().to(device, dtype)
    words = Words(size.family == "masked")
    model: Any = adapt(hf, words, ARCHITECTURES[size.config.model_type], size.name)
    some = prompts(size.family, n)
    list(attribute(model, some[:1], words=False))
    begun = time.perf_counter()
    list(attribute(model, some, words=False))
    return (time.perf_counter() - begun) / n


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| model | s a prompt | a million prompts | |\n|---|---|---|---|")
    seconds: list[float] = []
    for size in SIZES:
        if size.build:
            dtype = getattr(torch, options.dtype)
            seconds.append(measured(size, options.prompts, options.device, dtype))
            source = f"measured, {options.prompts} prompts"
        else:
            base = SIZES[OF]
            layers = size.config.num_hidden_layers / base.config.num_hidden_layers
            seconds.append(seconds[OF] * size.row / base.row * layers)
            source = f"extrapolated from {base.name}"
        days = seconds[-1] * 1e6 / 86_400
        print(f"| {size.name} | {seconds[-1]:.2f} | {days:,.0f} days | {source} |", flush=True)


if __name__ == "__main__":
    main()
