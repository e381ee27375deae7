"""Standard output and standard error: colour, notes and encoding."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_CODES = {"red": "31", "green": "32", "dim": "2", "bold": "1"}


def wants_colour(stream: TextIO) -> bool:
    """Colour goes to terminals only, and never when NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, stream: TextIO) -> str:
    """The text in an ANSI style, or unchanged if the stream should have no colour.

    Errors and notes use this instead of Rich, whose import takes 0.05 s.
    """
    return f"\033[{_CODES[style]}m{text}\033[0m" if wants_colour(stream) else text


def note(text: str, quiet: bool = False) -> None:
    """Print a message that is not data to stderr."""
    if not quiet:
        print(text, file=sys.stderr)


def use_utf8() -> None:
    """Write UTF-8 to pipes and files; never fail on a character that a terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty():
            reconfigure(errors="backslashreplace")
        else:
            reconfigure(encoding="utf-8", errors="backslashreplace")


def let_go_of_stdout() -> None:
    """Discard what is still to be written, because nobody can read it.

    Python flushes standard output once more at exit, and that would fail.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
