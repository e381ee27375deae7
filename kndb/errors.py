"""The error tree of kndb. Every message is one sentence: what failed, what was given, what to do.

    KndbError                 1   the request failed
    ├── UsageError            2   the request itself is wrong
    ├── DatabaseError         3   the database cannot be opened
    │   ├── DatabaseMissing
    │   ├── DatabaseCorrupt
    │   ├── DatabaseLocked
    │   └── DatabaseVersion   made by a newer kndb
    ├── NotFound              4   nothing matches (with the nearest matches)
    ├── ModelError            1   the model cannot be loaded or used
    │   └── NotFinite             its numbers are not finite
    └── DatasetError          1   the data cannot be read

The number is the exit code of the command line. Errors from drivers and libraries are translated
where they occur, with ``raise ... from error``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def first_line(error: BaseException) -> str:
    r"""The first line of a library's message; the others point into code or to web pages.

    >>> first_line(ValueError("it broke\nLINE 1: SELECT")), first_line(KeyError())
    ('it broke', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


_HINTS = ("Did you mean", "Candidate bindings")


def with_hint(error: BaseException) -> str:
    """The first line of DuckDB's message, and its own suggestion where it has one.

    >>> with_hint(ValueError('No table fact_s!\\nDid you mean "facts"?\\n\\nLINE 1: SELECT'))
    'No table fact_s! Did you mean "facts"?'
    """
    lines = str(error).splitlines()[1:]
    hint = next((line for line in lines if line.startswith(_HINTS)), "")
    return f"{first_line(error)} {hint}".strip()


LONGEST_MESSAGE = 2000
"""Characters. What was given is at the beginning of a message, and what to do at the end."""


class KndbError(Exception):
    """The base of all errors that kndb reports. ``exit_code`` is that of the command line.

    A message that repeats a very long name is shown without its middle.

    >>> len(str(KndbError("x" * 100_000)))
    2003
    """

    exit_code = 1

    def __str__(self) -> str:
        message = super().__str__()
        if len(message) <= LONGEST_MESSAGE:
            return message
        half = LONGEST_MESSAGE // 2
        return f"{message[:half]} … {message[-half:]}"


class UsageError(KndbError):
    """The request itself is wrong: an unknown option value, or options that conflict."""

    exit_code = 2


class DatabaseError(KndbError):
    """The database cannot be opened."""

    exit_code = 3


class DatabaseMissing(DatabaseError):
    """There is no database at the given path."""


class DatabaseCorrupt(DatabaseError):
    """The file is not a kndb database, or is damaged."""


class DatabaseLocked(DatabaseError):
    """Another process is using the database."""


class DatabaseVersion(DatabaseError):
    """The database was made by a newer kndb than this one."""


class NotFound(KndbError):
    """Nothing matches. ``nearest`` lists the closest matches, best first, under ``heading``."""

    exit_code = 4

    def __init__(self, message: str, nearest: Sequence[str] = (), heading: str = "Nearest") -> None:
        super().__init__(message)
        self.nearest = tuple(nearest)
        self.heading = heading
        if nearest:  # a traceback shows it
            self.add_note(f"{heading}: {', '.join(nearest)}")

    @classmethod
    def among(
        cls, message: str, asked: Sequence[str], known: Mapping[str, str] | Sequence[str], all: str
    ) -> NotFound:
        """The error for names that are not known: it lists those that are near, or else all.

        >>> NotFound.among("No.", ["dee"], ["de", "en"], "Languages that there are").nearest
        ('de',)
        >>> NotFound.among("No.", ["xx"], ["de", "en"], "Languages that there are").heading
        'Languages that there are'

        Args:
            message: the sentence.
            asked: the names that were given.
            known: the names that there are, or each with what to list for it.
            all: the heading where all are listed.
        """
        # Here, because only mistakes need it.
        from difflib import get_close_matches

        named = known if isinstance(known, Mapping) else {name: name for name in known}
        lowered = {name.lower(): shown for name, shown in named.items()}
        near = [
            lowered[name] for one in asked for name in get_close_matches(one.lower(), lowered, 5)
        ]
        if near:
            return cls(message, list(dict.fromkeys(near)))
        return cls(message, list(dict.fromkeys(named.values())), all)


class ModelError(KndbError):
    """The model cannot be loaded, is of an unknown architecture, or has unusable weights."""


class NotFinite(ModelError):
    """The model's numbers for a prompt are not finite. The message names the layer."""


class DatasetError(KndbError):
    """The data set cannot be read. The message names the file and, if possible, the line."""


def one_line(error: BaseException) -> str:
    """An error's message on one line, cut off if it is long."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def listed(names: Iterable[str], most: int = 20) -> str:
    r"""Names from somebody's file for a message: on one line, long ones and long lists cut off.

    >>> listed(["a", "b\nc"]), listed(map(str, range(5)), most=2)
    ('a, b c', '0, 1 and 3 more')
    """
    every = [" ".join(name.split())[:40] for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
