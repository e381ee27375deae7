"""What the two processes of a query say to each other: framed pickles of plain values.

The reader's unpickler builds the values that DuckDB returns and nothing else, so that even a
worker that a query took over could not make its parent run anything.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator, Sequence
from typing import IO, Any

_LENGTH = struct.Struct("<Q")

_ALLOWED = {
    ("builtins", "bytearray"),
    ("_codecs", "encode"),  # bytes, in older protocols
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("pytz", "_UTC"),
    ("pytz", "_p"),
    ("uuid", "UUID"),
    ("uuid", "SafeUUID"),
    ("zoneinfo", "ZoneInfo._unpickle"),
}


class Writer:
    """The worker's end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def header(self, columns: Sequence[str], types: Sequence[str]) -> None:
        """Names and DuckDB types of the columns; before any rows."""
        self._send(("header", list(columns), list(types)))

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Some rows."""
        self._send(("rows", rows))

    def error(self, kind: str, message: str, nearest: Sequence[str]) -> None:
        """Why there is no answer: the name of one of kndb's errors, and its sentence."""
        self._send(("error", kind, message, list(nearest)))

    def note(self, text: str) -> None:
        """What the worker waits for."""
        self._send(("note", text))

    def end(self) -> None:
        """Nothing comes after this."""
        self._send(("end",))

    def _send(self, message: tuple[Any, ...]) -> None:
        body = pickle.dumps(message, protocol=5)
        self._stream.write(_LENGTH.pack(len(body)))
        self._stream.write(body)
        self._stream.flush()


class _PlainValues(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"A query's answer holds {module}.{name}.")
        return super().find_class(module, name)


def read_messages(stream: IO[bytes]) -> Iterator[tuple[Any, ...]]:
    """The messages that a worker sends, up to and without its ``end``.

    Raises:
        EOFError: the worker ended in the middle of its answer.
    """
    while True:
        (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
        message = _PlainValues(io.BytesIO(_exactly(stream, length))).load()
        if message[0] == "end":
            return
        yield message


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found
