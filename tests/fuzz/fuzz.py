"""Looks for inputs that kndb neither reads nor refuses, led by the code that they reach (atheris).

    python tests/fuzz/fuzz.py ENTRY [--runs N] [--found DIR]

ENTRY is a name in entry_points.py. A crash, an exception that is not kndb's, an input that takes
over two seconds or over 500 MB ends it, and the input is written to DIR. Put it into
tests/fuzz/corpus/ENTRY once it is mended. ``make fuzz`` installs atheris and runs every entry.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz.entry_points import EntryPoint

TESTS = Path(__file__).parents[1]
OWN = ("kndb", "kndb_ingest", "kndb_cli")
READERS = {"gguf": ("gguf", "transformers.modeling_gguf_pytorch_utils")}
"""Other packages that read an entry's input. kndb imports them with the first file, too late."""

LONGEST_SECONDS = 2
MOST_MEGABYTES = 500
"""More than the process had when it began."""


def main() -> None:
    """Run atheris; it ends the process."""
    import atheris

    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    sys.path[0] = str(TESTS)
    parser = argparse.ArgumentParser()
    parser.add_argument("entry")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--found", type=Path, default=Path())
    args = parser.parse_args()
    args.found.mkdir(parents=True, exist_ok=True)
    readers = READERS.get(args.entry, ())
    with atheris.instrument_imports(include=[*OWN, *readers]):
        from fuzz.entry_points import ENTRY_POINTS

        for name in readers:
            import_module(name)

    if args.entry not in ENTRY_POINTS:
        parser.error(f"there is no entry {args.entry!r}; choose from {', '.join(ENTRY_POINTS)}")
    entry = ENTRY_POINTS[args.entry]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(entry.seeds):
            entry(seed)
            Path(folder, f"seed-{number}").write_bytes(seed)
        known = TESTS / "fuzz" / "corpus" / args.entry
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        options = [
            f"-runs={args.runs}",
            f"-timeout={LONGEST_SECONDS}",
            f"-rss_limit_mb={now + MOST_MEGABYTES}",
            f"-artifact_prefix={args.found}/{args.entry}-",
            "-max_len=4096",
            "-print_final_stats=1",
        ]
        corpus = [folder, *([str(known)] if known.is_dir() else [])]
        found = args.found / f"{args.entry}-raised"
        atheris.Setup([sys.argv[0], *options, *corpus], partial(_kept, entry, found))
        atheris.Fuzz()


def _kept(entry: EntryPoint, found: Path, data: bytes) -> None:
    """Read an input; one that raises is written to ``found``, which atheris 3.0 does not do."""
    try:
        entry(data)
    except Exception:
        found.write_bytes(data)
        raise


if __name__ == "__main__":
    main()
