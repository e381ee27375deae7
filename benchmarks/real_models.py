"""Speed of ``amig`` on a pretrained model, against an earlier engine, a naive one and the floor.

    python benchmarks/real_models.py DIR --before COMMIT --data MPARAREL

DIR is a model's folder, MPARAREL an unpacked mParaRel folder (English is used). Engines take turns
in processes of their own; times are medians over ``--rounds``. The naive engine runs full sequences
with 20 left nodes for every word and layer, as does the released AMIG code, which cannot run these
models; it is timed in three layers and scaled. The floor is the number of operations in the matrix
products divided by the measured matrix rate.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

BATCHES = (1, 16, 64)
ROOT = Path(__file__).resolve().parent.parent


def prompts(model: Any, data: Path, n: int) -> list[tuple[str, str]]:
    """Prompts with one answer token and the most common length, so that they form one batch."""
    from kndb.models import Unusable

    by_length: dict[int, list[tuple[str, str]]] = {}
    for text, answer in candidates(data):
        try:
            targets = model.targets(text, answer)
        except Unusable:
            continue
        if len(targets) == 1:
            alike = by_length.setdefault(len(targets[0].tokens), [])
            alike.append((text, answer))
            if len(alike) == n:
                return alike
    return max(by_length.values(), key=len)


def candidates(data: Path) -> list[tuple[str, str]]:
    """English mParaRel prompts that end with the object, shuffled."""
    found = []
    for file in sorted((data / "patterns" / "en").glob("P*.jsonl")):
        patterns = [json.loads(line)["pattern"] for line in file.open()]
        last = [p.rstrip(" .") for p in patterns if p.rstrip(" .").endswith("[Y]")]
        tuples = [json.loads(line) for line in (data / "tuples" / "en" / file.name).open()]
        for row in tuples[:200] if last else []:
            pattern = last[row["lineid"] % len(last)]
            text = pattern.replace("[X]", row["sub_label"]).replace("[Y]", "[MASK]")
            found.append((text, row["obj_label"]))
    random.Random(0).shuffle(found)
    return found


def time_engine(
    model: Any, asked: list[tuple[str, str]], batch: int, count: bool
) -> dict[str, float]:
    """Seconds per prompt, and with ``count`` billions of operations in its matrix products."""
    from kndb.attribution import attribute

    asked = asked[:batch]
    run = partial(attribute, model)
    if "words" in inspect.signature(attribute).parameters:  # an earlier engine had none
        run = partial(attribute, model, words=False)
    list(run(asked[:1]))
    start = time.perf_counter()
    found = list(run(asked))
    seconds = time.perf_counter() - start
    operations = count_operations(lambda: list(run(asked))) if count else 0
    return {
        "seconds": seconds / len(asked),
        "operations": operations / 1e9 / len(asked),
        "over": sum(not max(f.completeness, getattr(f, "score_error", 0)) <= 0.01 for f in found),
    }


def count_operations(work: Callable[[], object]) -> int:
    """Operations in the matrix products of ``work``, by torch's formulas.

    torch's own ``FlopCounterMode`` follows modules too, and fails on gradients of leaves that are
    no module's.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    def linear(x: Any, weight: Any, *rest: Any, out_val: Any) -> int:
        return int(2 * x.numel() * len(weight))

    formulas = {**flop_registry, torch.ops.mkldnn._linear_pointwise: linear}

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        total: int = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            formula = formulas.get(func._overloadpacket)
            if formula is not None:
                self.total += formula(*args, **(kwargs or {}), out_val=out)
            return out

    counter = Counter()  # type: ignore[no-untyped-call]
    with counter:
        work()
    return counter.total


def time_naive(model: Any, asked: list[tuple[str, str]], steps: int = 20) -> float:
    """Seconds per prompt with full sequences, extrapolated from three layers."""
    import torch

    (target,) = model.targets(*asked[0])
    layers = [0, model.info.n_layers // 2, model.info.n_layers - 1]
    tokens = torch.tensor([target.tokens] * (steps // 2))
    width = model.info.n_neurons
    start = time.perf_counter()
    for layer in layers:
        points = torch.randn(len(tokens), width).requires_grad_()

        def put(module: Any, args: Any, points: Any = points) -> Any:
            neurons = args[0].clone()
            neurons[:, target.position] = points
            return (neurons,)

        handle = model.down[layer].register_forward_pre_hook(put)
        try:
            for _ in range(2):
                logits = model.hf(input_ids=tokens).logits[:, target.position]
                torch.autograd.grad(logits.softmax(1)[:, target.answer].sum(), points)
        finally:
            handle.remove()
    seconds = (time.perf_counter() - start) / len(layers)
    return float(seconds * model.info.n_layers * len(target.words))


def matrix_rate() -> float:
    """Billions of operations per second in a product of 2048 by 2048 matrices, as kndb makes it."""
    import torch

    try:
        from kndb.models.products import linear
    except ImportError:  # an earlier engine
        from torch.nn.functional import linear  # type: ignore[assignment]
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        linear(a, b)
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / statistics.median(times) / 1e9


def child(options: argparse.Namespace) -> None:
    """Measure the engine on the import path, and print the results as JSON."""
    import torch

    from kndb import load_model

    torch.set_num_threads(options.threads)
    model = load_model(options.model, device="cpu")
    asked = prompts(model, options.data, max(options.batches))
    found: dict[str, Any] = {"rate": matrix_rate()}
    for batch in options.batches:
        found[str(batch)] = time_engine(model, asked, batch, count=options.all)
    if options.all:
        found["naive"] = time_naive(model, asked)
    print(json.dumps(found))


def measure(options: argparse.Namespace, checkout: Path, *extra: str) -> dict[str, Any]:
    """Measure the engine of a checkout in a process of its own."""
    batches = ",".join(map(str, options.batches))
    command = [sys.executable, __file__, str(options.model), "--data", str(options.data)]
    command += ["--threads", str(options.threads), "--batches", batches, "--child", *extra]
    path = os.pathsep.join(str(checkout / part) for part in (".", "ingest", "migrations"))
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(options: argparse.Namespace) -> None:
    """Let both engines take turns, and print the table."""
    now, before, naive = [], [], None
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", checkout, options.before], check=True)
        try:
            for turn in range(options.rounds):
                now.append(measure(options, ROOT, *([] if turn else ["--all"])))
                before.append(measure(options, checkout))
        finally:
            subprocess.run([*git, "remove", "--force", checkout], check=True)
    naive = now[0]["naive"]
    rate = statistics.median(turn["rate"] for turn in now)
    print(f"{options.model.name}: matrix rate {rate:.0f} GFLOP/s; naive {naive:.1f} s per prompt")
    print(f"{'batch':>6}{'s':>8}{'before':>8}{'times':>7}{'naive':>7}{'GFLOP':>7}{'of rate':>9}")
    for batch in map(str, options.batches):
        ours, theirs = (
            statistics.median(turn[batch]["seconds"] for turn in turns) for turns in (now, before)
        )
        operations = now[0][batch]["operations"]
        print(
            f"{batch:>6}{ours:8.2f}{theirs:8.2f}{theirs / ours:7.1f}{naive / ours:7.0f}"
            f"{operations:7.0f}{operations / ours / rate:9.0%}"
            f"   over the tolerance: {now[0][batch]['over']}, before {before[0][batch]['over']}"
        )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", help="the commit to compare with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--batches", type=lambda text: [int(n) for n in text.split(",")], default=BATCHES
    )
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    child(options) if options.child else report(options)


if __name__ == "__main__":
    main()
