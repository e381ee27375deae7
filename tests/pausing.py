"""Processes that do some of their work and then pause, to be killed or interrupted there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

READY = 240.0
"""Seconds within which a process must reach its pause: many, as machines may be busy."""

PAUSE = """
import time
from pathlib import Path

def pausing(report, after):
    def paused(done, total):
        report(done, total)
        if done >= after:
            Path({mark!r}).touch()
            time.sleep(600)
    return paused
"""

COMMAND = """
import sys
from contextlib import contextmanager
from kndb_cli.output import progress

reporting = progress.reporting

@contextmanager
def slowly(*args):
    with reporting(*args) as report:
        yield pausing(report, {after})

progress.reporting = slowly
from kndb_cli.main import main
{before}
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def paused(
    code: str, mark: Path, args: Sequence[str] = (), **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run code in which ``pausing(report, after)`` pauses; yield the process once it has."""
    program = PAUSE.format(mark=str(mark)) + code
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
    child = subprocess.Popen([sys.executable, "-c", program, *args], **pipes)
    try:
        wait_for(mark, child)
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(mark: Path, child: subprocess.Popen[bytes]) -> None:
    """Wait until a process has made a file; fail if it ends without it."""
    deadline = time.monotonic() + READY
    while not mark.exists():
        assert time.monotonic() < deadline, f"{mark.name} is not there after {READY:g} s"
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)


def paused_command(
    args: Sequence[str], after: int, mark: Path, before: str = "", **options: Any
) -> Any:
    """The same with a command of the program, paused at its ``after``-th progress report."""
    return paused(COMMAND.format(after=after, before=before), mark, args, **options)
