"""Shows a table that is longer than the terminal in a pager, as git does."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

_ALLOWED = ContextVar("pager_allowed", default=True)

_OFF = ("", "cat", "none")


@contextmanager
def paging(allowed: bool) -> Iterator[None]:
    """Allow a pager in the block, or not."""
    token = _ALLOWED.set(allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def page(text: str, stream: TextIO) -> None:
    """Write the text to a terminal; through a pager if it is longer than the terminal.

    The pager is ``KNDB_PAGER``, ``PAGER``, or ``less``. Nothing is paged when standard input is
    not a terminal, as nobody could turn the pages.
    """
    command = _command()
    too_long = text.count("\n") >= shutil.get_terminal_size().lines
    if not (command and too_long and stream is sys.stdout and sys.stdin.isatty()):
        stream.write(text)
        return
    # As git: leave if it fits, show colours, keep the screen.
    env = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    stream.flush()
    try:
        subprocess.run(command, input=text, text=True, encoding="utf-8", env=env, check=False)
    except OSError:  # there is no such program
        stream.write(text)


def _command() -> list[str]:
    """The pager's words; none for no pager."""
    if not _ALLOWED.get() or os.environ.get("TERM") == "dumb":
        return []
    named = os.environ.get("KNDB_PAGER", os.environ.get("PAGER", "less"))
    return [] if named.strip() in _OFF else shlex.split(named)
