"""How the command line fails: one sentence on stderr and an exit code. Never a traceback unasked.

0 done, 1 the asked-for thing failed, 2 usage, 3 the database cannot be opened, 4 nothing found,
130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import TextIO

import typer

from kndb.errors import KndbError, NotFound
from kndb_cli.output.terminal import styled


class ExitCode(IntEnum):
    """What the shell is told. The codes between come with each KndbError."""

    DONE = 0
    FAILED = 1
    INTERRUPTED = 130


def explain(error: Exception, stream: TextIO | None = None) -> int:
    """Write ``error`` for people on ``stream`` (stderr) and return the exit code.

    A search that found nothing lists the nearest matches below its sentence.
    """
    stream = stream or sys.stderr
    message, code = sentence(error)
    if not message:  # the help was asked for by saying nothing, and has been shown
        return code
    print(styled("Error:", "red", stream), message, file=stream)
    if isinstance(error, NotFound) and error.nearest:
        print(_nearest(error.nearest), file=stream)
    return code


def sentence(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code that goes with it."""
    if isinstance(error, KndbError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return _usage(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or "The output"
        return f"{where} cannot be used: {error.strerror}; free it or give another.", 1
    if isinstance(error, MemoryError):
        return "The memory of this machine is used up; ask for less, or give it more.", 1
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"Unexpected {kind}: {text} (run again with --debug for the traceback).", 1


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("Value error, ", "")  # in the words of Typer's parser
    if not message or message.endswith("?"):
        return message
    return f"{message}; see '{context.command_path} --help'." if context else f"{message}."


def _nearest(matches: Sequence[str]) -> str:
    return "\n".join(["Nearest:", *(f"  {match}" for match in matches)])
