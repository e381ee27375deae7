"""Standard output and standard error: colour, notes, encoding, and what a terminal may receive.

Labels, names, paths and messages come from strangers' files. A terminal obeys some characters
instead of showing them; these are written as escapes, in tables and sentences always, in other
formats when a terminal receives them. Pipes and files get CSV and JSON as they are.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TextIO, cast

from kndb.cells import visible as visible
from kndb.notes import LOGGER

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
    """Print a message that is not data to stderr. If nobody reads it, the work goes on."""
    if not quiet:
        with suppress(BrokenPipeError):
            print(visible(text), file=sys.stderr)


@contextmanager
def library_notes(quiet: bool) -> Iterator[None]:
    """Show the library's notes (``kndb.notes``), each once, while the block runs."""
    shown: set[str] = set()

    def show(record: logging.LogRecord) -> bool:
        if (text := record.getMessage()) not in shown:
            shown.add(text)
            note(text, quiet)
        return True

    level = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    LOGGER.addFilter(show)
    try:
        yield
    finally:
        LOGGER.removeFilter(show)
        LOGGER.setLevel(level)


def made_visible(stream: TextIO) -> TextIO:
    """The stream, or if it is a terminal, one before it that writes ``visible`` text."""
    if not stream.isatty():
        return stream
    return io.TextIOWrapper(
        cast(BinaryIO, VisibleBytes(stream)), "utf-8", "backslashreplace", newline=""
    )


class VisibleBytes(io.RawIOBase):
    """Writes UTF-8 bytes to a terminal as ``visible`` text."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: Any) -> int:
        """Write all of ``data`` and return the number of bytes."""
        with memoryview(data) as view:
            self._terminal.write(visible(self._decode(view.tobytes())))
            return view.nbytes

    def flush(self) -> None:
        """Flush the terminal."""
        if not self.closed:
            self._terminal.flush()


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
