"""Speed, integration error and peak memory of the attribution engine and of the released code.

    python benchmarks/attribution.py masked --released ../AMIG
    python benchmarks/attribution.py causal --released ../AMIG

Random weights of BERT-base size with mBERT's vocabulary, and of GPT-2 size; 12-token prompts, fp32.
``--released`` is a checkout of github.com/heng840/AMIG, whose code runs in the same command on the
same weights; it needs einops. It gets single-token targets (kndb's documentation describes its
defects) and its default batch of 10 points. Every case runs in a process of its own, so that peak
memory is measured per case; the error is the relative L2 distance to the same path integrated with
31 Gauss-Legendre nodes. Operations are those of the matrix products. At most: how many times faster
than the released code an engine with these operations is that does nothing else, at the rate of a
product of 2048 by 2048 matrices.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_models import count_operations, matrix_rate

VOCABULARY = {"masked": 119547, "causal": 50257}
LENGTH = 12


@dataclass(frozen=True)
class Case:
    """One line of the table: the engine's settings, and the number of prompts at a time."""

    name: str
    settings: dict[str, Any]
    prompts: int
    repeats: int


CASES = [
    Case("kndb, left 20, token mean, 1 prompt", {"preset": "amig-code"}, 1, 3),
    Case("kndb, one path per layer, 1 prompt", {"baseline": "mean"}, 1, 15),
    Case("kndb, one path per layer, 16 prompts", {"baseline": "mean"}, 16, 3),
    Case("kndb, amig, 1 prompt", {}, 1, 5),
    Case("kndb, amig, 16 prompts", {}, 16, 3),
]


class Words:
    """A tokenizer of tokens ``w<number>``, with just what both codes need."""

    is_fast = True
    mask_token, mask_token_id, unk_token_id, eos_token_id = "[MASK]", 4, None, 0
    all_special_ids = (0, 2, 3, 4)

    def __init__(self, masked: bool) -> None:
        self.masked = masked

    def __call__(self, text: str, **options: Any) -> Any:
        import torch
        from transformers import BatchEncoding

        found = list(re.finditer(r"\[MASK\]|w\d+", text))
        ids = [4 if match[0] == "[MASK]" else int(match[0][1:]) for match in found]
        spans = [match.span() for match in found]
        if self.masked and options.get("add_special_tokens", True):
            ids, spans = [2, *ids, 3], [(0, 0), *spans, (0, 0)]
        if options.get("return_tensors"):
            mask = torch.ones(1, len(ids), dtype=torch.long)
            return BatchEncoding({"input_ids": torch.tensor([ids]), "attention_mask": mask})
        encoded = BatchEncoding(
            {
                "input_ids": ids,
                "offset_mapping": spans,
                "special_tokens_mask": [int(i in (2, 3)) for i in ids],
            }
        )
        encoded.tokens = lambda: [f"w{i}" for i in ids]
        return encoded

    def encode(self, answer: str) -> list[int]:
        """One token and no special ones, since the released code would attribute those as well."""
        return [int(answer[1:])]

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"w{i}" for i in ids)


def prompts(family: str, n: int) -> list[tuple[str, str]]:
    """Prompts of 12 tokens each: for a masked model, [CLS], nine words, [MASK] and [SEP]; for a
    causal one, ten words, two of them with two tokens.
    """
    random.seed(0)
    lengths = [1] * 9 if family == "masked" else [1, 1, 2, 1, 1, 1, 2, 1, 1, 1]

    def word(tokens: int = 1) -> str:
        return "".join(f"w{random.randrange(1000, VOCABULARY[family])}" for _ in range(tokens))

    return [(" ".join(map(word, lengths)) + " [MASK]", word()) for _ in range(n)]


def hf_model(family: str) -> Any:
    """BERT-base with mBERT's vocabulary, or GPT-2 small, with random weights."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    if family == "masked":
        return BertForMaskedLM(BertConfig(vocab_size=VOCABULARY[family])).eval()
    return GPT2LMHeadModel(GPT2Config()).eval()


def engine(family: str) -> Any:
    """The same model, adapted for kndb."""
    from kndb.models.architectures import BERT, GPT2
    from kndb.models.loading import adapt

    names = BERT if family == "masked" else GPT2
    return adapt(hf_model(family), Words(family == "masked"), names, family)


def peak() -> float:
    """Peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median seconds after one warm-up run, and the last result."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def run_case(family: str, case: Case) -> dict[str, float]:
    """Measure one case of the engine."""
    import numpy as np

    from kndb.attribution import Settings, attribute, preset

    model = engine(family)
    options = dict(case.settings)
    name = options.pop("preset", None)
    settings = preset(name, model.info.family) if name else Settings(**options)
    asked = prompts(family, case.prompts)

    def run() -> list[Any]:
        return list(attribute(model, asked, settings, words=False))

    seconds, found = measure(run, case.repeats)
    memory = peak()
    least = count_operations(run) / 1e9 / matrix_rate()
    exact = settings.changed(quadrature="gauss-legendre", nodes=31)
    exact = Settings(**{**exact.as_dict(), "tolerance": None})
    reference = {f.index: f.scores for f in attribute(model, asked[:2], exact, words=False)}
    errors = [
        float(np.linalg.norm(f.scores - reference[f.index]) / np.linalg.norm(reference[f.index]))
        for f in found
        if f.index in reference
    ]
    return {
        "seconds": seconds / case.prompts,
        "least": least / case.prompts,
        "memory": memory,
        "error": max(errors),
    }


def run_released(family: str, checkout: Path) -> dict[str, float]:
    """Measure the released code, and compare its scores with those of ``amig-code``."""
    import numpy as np
    import torch

    from kndb.attribution import Settings, attribute, preset

    sys.path.insert(0, str(checkout))
    # Its package imports a converter of Chinese characters that nothing here calls.
    sys.modules.setdefault("opencc", types.SimpleNamespace(OpenCC=lambda name: None))  # type: ignore[arg-type]
    package = importlib.import_module("knowledge_neurons")
    kind = "bert" if family == "masked" else "gpt"
    tokenizer = Words(family == "masked")
    hf = hf_model(family)
    released = package.garns(hf, tokenizer, model_type=kind, device=torch.device("cpu"))
    ((text, answer),) = prompts(family, 1)
    if family == "causal":
        text = text.replace(" [MASK]", "")
    start = time.perf_counter()
    scores = released.get_scores(text, answer, batch_size=10, steps=20).detach().numpy()
    seconds = time.perf_counter() - start
    memory = peak()
    del hf, released
    model = engine(family)
    code = preset("amig-code", model.info.family)
    (same,) = attribute(model, prompts(family, 1), code)
    exact = Settings(
        **{**code.as_dict(), "quadrature": "gauss-legendre", "nodes": 31, "tolerance": None}
    )
    (reference,) = attribute(model, prompts(family, 1), exact)
    norm = np.linalg.norm(reference.scores)
    return {
        "seconds": seconds,
        "memory": memory,
        "error": float(np.linalg.norm(scores - reference.scores) / norm),
        "difference": float(np.linalg.norm(scores - same.scores) / norm),
    }


def in_process(arguments: list[str]) -> dict[str, float]:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(family: str, released: Path | None) -> None:
    """Run every case and print the table."""
    base: dict[str, float] | None = None
    print(f"{family}: {LENGTH}-token prompts, fp32, seconds per prompt (medians)")
    columns = f"{'seconds':>9}{'speed':>8}{'of rate':>9}{'at most':>9}{'error':>10}{'peak MiB':>10}"
    print(f"{'':42}{columns}")
    if released:
        base = in_process([family, "--released", str(released), "--case", "released"])
        print(_line("released code, left 20", base, base))
    for number, case in enumerate(CASES):
        found = in_process([family, "--case", str(number)])
        print(_line(case.name, found, base), flush=True)
    if base:
        print(
            f"amig-code against the released scores: relative difference {base['difference']:.1e}"
        )


def _line(name: str, found: dict[str, float], base: dict[str, float] | None) -> str:
    speed = f"{base['seconds'] / found['seconds']:.1f}x" if base else ""
    least = found.get("least")
    share = f"{least / found['seconds']:.0%}" if least else ""
    most = f"{base['seconds'] / least:.0f}x" if base and least else ""
    return (
        f"{name:42}{found['seconds']:9.3f}{speed:>8}{share:>9}{most:>9}"
        f"{found['error']:10.1e}{found['memory']:10.0f}"
    )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", choices=list(VOCABULARY))
    parser.add_argument("--released", type=Path, help="a checkout of heng840/AMIG")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is None:
        report(options.family, options.released)
        return
    import torch

    torch.set_num_threads(options.threads)
    if options.case == "released":
        print(json.dumps(run_released(options.family, options.released)))
    else:
        print(json.dumps(run_case(options.family, CASES[int(options.case)])))


if __name__ == "__main__":
    main()
