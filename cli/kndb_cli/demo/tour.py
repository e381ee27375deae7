"""The parts of a tour: what is said between commands, and commands as a user would type them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from kndb_cli.output.terminal import styled, visible


def say(text: str) -> None:
    """Print what the next command shows."""
    print(f"\n{styled(text, 'bold', sys.stdout)}")


def show(*args: str, db: Path, quiet: bool = False) -> None:
    """Print a command as a user would type it, and run it."""
    # Deferred: main imports this module.
    from kndb_cli.main import application

    full = [*args, "--db", str(db), *(["--quiet"] if quiet else [])]
    if args[0] != "ingest" and not {"-o", "undo"} & set(args) and not sys.stdout.isatty():
        full += ["--format", "table"]
    print(styled(f"$ kndb {visible(shlex.join(full))}", "dim", sys.stdout), flush=True)
    application(full)(args=full, prog_name="kndb", standalone_mode=False)
    sys.stdout.flush()


def one_thread() -> None:
    """Limit torch to one thread.

    The demo models are too small to benefit from more, and on a busy machine, threads that wait for
    each other make it many times slower.
    """
    import torch

    torch.set_num_threads(1)
