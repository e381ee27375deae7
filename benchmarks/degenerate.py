"""Speed of the search for degenerate pairs, compared with the released code.

    python benchmarks/degenerate.py masked --released ../AMIG
    python benchmarks/degenerate.py causal --released ../AMIG

Twenty neurons: 211 suppressions, with the empty set, singles and pairs. Random weights of BERT-base
size with mBERT's vocabulary, and of GPT-2 size; one 12-token prompt, fp32. ``--released`` is a
checkout of github.com/heng840/AMIG, whose ``test_synergistic_neurons`` runs in the same command on
the same weights, with a full forward pass for each set; it needs einops. Every case runs in a
process of its own, so that peak memory is measured per case. The difference is the largest relative
one between the two codes' probabilities of the answer with a pair suppressed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
import types
from itertools import combinations
from pathlib import Path
from typing import Any

from attribution import VOCABULARY, Words, engine, hf_model, measure, peak, prompts

LAYERS = {
    "all layers": [i * 12 // 20 for i in range(20)],
    "the last three layers": [9 + i % 3 for i in range(20)],
}
"""Cases: the layers of the twenty neurons, in a model of twelve layers."""

REPEATS = 5


def chosen_neurons(case: str) -> list[tuple[int, int]]:
    """Twenty neurons, in the form that both codes take."""
    return [(layer, 37 * i) for i, layer in enumerate(LAYERS[case])]


def run_engine(family: str, case: str) -> dict[str, Any]:
    """Measure the search, and return every pair's probability."""
    from kndb.attribution.suppression import Questions
    from kndb.degenerate.criterion import Criterion
    from kndb.degenerate.examine import examine
    from kndb.neurons import Neuron

    model = engine(family)
    targets = [model.targets(*prompts(family, 1)[0])]
    neurons = [Neuron(*neuron) for neuron in chosen_neurons(case)]

    def search() -> Any:
        return examine(Questions(model, targets), neurons, None, Criterion())

    seconds, found = measure(search, REPEATS)
    assert len(found.tried.drops) == 210, "a neuron matters by itself: not all pairs were tried"
    pairs = [tuple(sorted(pair)) for pair in combinations(neurons, 2)]
    p = Questions(model, targets).probabilities(pairs)[0].tolist()
    return {"seconds": seconds, "memory": peak(), "p": p}


def run_released(family: str, checkout: Path, case: str) -> dict[str, Any]:
    """Measure the released code, and return the probabilities of some pairs."""
    import torch

    sys.path.insert(0, str(checkout))
    # Its package imports a converter of Chinese characters that nothing here calls.
    sys.modules.setdefault("opencc", types.SimpleNamespace(OpenCC=lambda name: None))  # type: ignore[arg-type]
    package = importlib.import_module("knowledge_neurons")
    kind = "bert" if family == "masked" else "gpt"
    released = package.KnowledgeNeurons(
        hf_model(family), Words(family == "masked"), model_type=kind, device=torch.device("cpu")
    )
    ((text, answer),) = prompts(family, 1)
    if family == "causal":
        text = text.replace(" [MASK]", "")
    neurons = [list(neuron) for neuron in chosen_neurons(case)]
    released.prediction_accuracy(text, answer, [])
    start = time.perf_counter()
    released.test_synergistic_neurons(text, answer, neurons, 0.2, 0.25)
    seconds = time.perf_counter() - start
    p = {
        number: released.prediction_accuracy(text, answer, list(pair))[0]["after"]["gt_prob"]
        for number, pair in enumerate(combinations(neurons, 2))
        if number % 19 == 0
    }
    return {"seconds": seconds, "memory": peak(), "p": p}


def in_process(arguments: list[str]) -> dict[str, Any]:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(family: str, released: Path | None, threads: int) -> None:
    """Run every case and print the table."""
    common = [family, "--threads", str(threads)]
    print(f"{family}: pair search over 20 neurons, 211 suppressions, fp32, medians of {REPEATS}")
    print(
        f"{'neurons in':24}{'seconds':>9}{'released':>10}{'speed':>8}{'peak MiB':>10}{'diff':>10}"
    )
    for case in LAYERS:
        found = in_process([*common, "--case", case])
        line = f"{case:24}{found['seconds']:9.3f}"
        if released:
            base = in_process([*common, "--case", case, "--released", str(released)])
            difference = max(abs(found["p"][int(i)] / p - 1) for i, p in base["p"].items())
            line += f"{base['seconds']:10.2f}{base['seconds'] / found['seconds']:7.1f}x"
            line += f"{found['memory']:10.0f}{difference:10.1e}"
        print(line, flush=True)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", choices=list(VOCABULARY))
    parser.add_argument("--released", type=Path, help="a checkout of heng840/AMIG")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is None:
        report(options.family, options.released, options.threads)
        return
    import torch

    torch.set_num_threads(options.threads)
    if options.released:
        print(json.dumps(run_released(options.family, options.released, options.case)))
    else:
        print(json.dumps(run_engine(options.family, options.case)))


if __name__ == "__main__":
    main()
