"""What is known about the streams: is one a terminal, does it want colour, who is told what."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_CODES = {"red": "31", "green": "32", "dim": "2", "bold": "1"}


def wants_colour(stream: TextIO) -> bool:
    """Colour goes to terminals only, and never when NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, stream: TextIO) -> str:
    """The text in an ANSI style, or as it is where the stream wants no colour.

    Rich would do this too; errors and notes go without it to save its import (0.05 s).
    """
    return f"\033[{_CODES[style]}m{text}\033[0m" if wants_colour(stream) else text


def note(text: str, quiet: bool = False) -> None:
    """Tell people something that is not data, on stderr."""
    if not quiet:
        print(text, file=sys.stderr)


def use_utf8() -> None:
    """Write UTF-8 to pipes and files, and never fail on a character a terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="backslashreplace")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def let_go_of_stdout() -> None:
    """Let what is still to be written go nowhere, as nobody can take it.

    Python flushes standard output once more as it ends, and would complain.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
