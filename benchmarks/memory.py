"""Peak memory of an ingest over many prompts, against a tenth of them.

    python benchmarks/memory.py [--facts 625]

The demo's masked model and facts (16 prompts a fact), preset ig-zero, 64 MiB for activations; each
ingest is a process of its own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time

RUN = """
import atexit, re, sys
from kndb_cli.main import main

peak = r"VmHWM:\\s*(\\d+)"
atexit.register(lambda: print(*re.findall(peak, open("/proc/self/status").read())))
sys.exit(main())
"""


def ingest(facts: int) -> tuple[int, float, float]:
    """Prompts, MiB at the peak, and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["ingest", "--model", "demo-masked", "--dataset", "demo", "--memory", "64"]
        arguments += ["--preset", "ig-zero", "--limit", str(facts), "--db", f"{folder}/k.duckdb"]
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - begun
    (prompts,) = re.findall(r": ([\d,]+) prompts in", done.stderr)
    return int(prompts.replace(",", "")), int(done.stdout.split()[-1]) / 1024, seconds


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=int, default=625)
    options = parser.parse_args()
    peaks = []
    for facts in (options.facts // 10, options.facts):
        prompts, mib, seconds = ingest(facts)
        peaks.append(mib)
        print(f"{prompts:,} prompts: {mib:,.0f} MiB at the peak, {seconds:.0f} s", flush=True)
    print(f"{peaks[1] / peaks[0] - 1:+.1%}")


if __name__ == "__main__":
    main()
