"""Turns errors into one sentence on stderr and an exit code. It never prints a traceback.

0 done, 1 the request failed, 2 wrong usage, 3 the database cannot be opened, 4 nothing found,
130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Any, TextIO

import typer

from kndb.errors import KndbError, NotFound
from kndb.plain import is_text
from kndb_cli.output.terminal import note, styled, visible


def is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C raised this error; inside DuckDB it becomes a RuntimeError."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    )


@contextmanager
def resumable(told: str | Callable[[], str], quiet: bool) -> Iterator[None]:
    """On Ctrl-C, print what is kept of the block's work, which may only be known then.

    Raises:
        KeyboardInterrupt: Ctrl-C, even if it came as another error.
    """
    try:
        yield
    except (KeyboardInterrupt, RuntimeError) as error:
        if not is_interrupt(error):
            raise
        note(told if isinstance(told, str) else told(), quiet)
        raise KeyboardInterrupt from error


class ExitCode(IntEnum):
    """Exit codes of the program. Those in between are defined by each KndbError."""

    DONE = 0
    FAILED = 1
    INTERRUPTED = 130


def explain(error: Exception, stream: TextIO | None = None) -> int:
    """Print ``error`` to ``stream`` (default: stderr) and return the exit code.

    If nothing was found, the nearest matches are listed below the sentence.
    """
    stream = stream or sys.stderr
    message, code = sentence(error)
    if not message:  # a command without arguments has just printed its help
        return ExitCode.DONE
    with suppress(BrokenPipeError):  # the code says it even if nobody reads
        print(styled("Error:", "red", stream), visible(" ".join(message.splitlines())), file=stream)
        if isinstance(error, NotFound) and error.nearest:
            print(visible(_nearest(error)), file=stream)
    return code


def sentence(error: Exception) -> tuple[str, int]:
    """The sentence and the exit code for an error."""
    if isinstance(error, KndbError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return _usage(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = error.filename or "The output"
        return f"{where} cannot be used: {error.strerror}; fix this or choose another.", 1
    if isinstance(error, UnicodeEncodeError) and not is_text(error.object):
        return "An argument holds bytes that are not UTF-8 text; write it in UTF-8.", 2
    if isinstance(error, MemoryError):
        return "There is not enough memory; request less, or use a machine with more.", 1
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"Unexpected {kind}: {text} (run again with --debug for the traceback).", 1


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("Value error, ", "")  # added by Typer's parser
    for found in _invalid(error):
        message = message.replace(*found)
    if not message or message.endswith("?"):
        return message
    return f"{message}; see '{context.command_path} --help'." if context else f"{message}."


_WRONG = {
    "int_parsing": "{input!r} is not a whole number",
    "int_from_float": "{input!r} is not a whole number",
    "float_parsing": "{input!r} is not a number",
    "greater_than_equal": "it must be at least {ge}, not {input}",
    "less_than_equal": "it must be at most {le}, not {input}",
    "greater_than": "it must be above {gt}, not {input}",
    "less_than": "it must be below {lt}, not {input}",
}
"""Plain words for what Pydantic, which reads the options, says of a value."""


def _invalid(error: typer.TyperException) -> Iterator[tuple[str, str]]:
    """What Pydantic says of the values that it refused, and the same in plain words."""
    cause: Any = error.__cause__
    for one in cause.errors() if hasattr(cause, "errors") else ():
        if words := _WRONG.get(one["type"]):
            yield one["msg"], words.format(input=one["input"], **one.get("ctx", {}))


def _nearest(error: NotFound) -> str:
    return "\n".join([f"{error.heading}:", *(f"  {match}" for match in error.nearest)])
