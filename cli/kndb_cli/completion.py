"""Completion of names in the shell: models, runs, relations, languages and tables of a file.

Typer speaks with bash, zsh and fish; this module says what there is. Nothing heavy is imported,
nothing is waited for, and a file that cannot be read has nothing to complete.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

VARIABLE = "_KNDB_COMPLETE"
"""Set by the shell's script: ``complete_bash`` and so on."""

Named = tuple[str, str]
"""A name, and what it is, which zsh and fish show beside it."""

_PLAIN = re.compile(r"[\w.:/@+-]+( [\w.:/@+-]+)*")
_OTHER = re.compile(r"[^\w .,:/@+-]")
_PLAIN_QUERY = re.compile(r"[\w .,:/@+*=<>()-]*")
"""Characters that no shell obeys. The scripts of bash and zsh expand or evaluate what they get, and
names come from strangers' files."""


def asked() -> list[str] | None:
    """The words that are being completed, without the program; None if nothing is."""
    if not os.environ.get(VARIABLE, "").startswith("complete_"):
        return None
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    try:
        return shlex.split(line)[1:]
    except ValueError:  # a quote is open
        return line.split()[1:]


def _names(context: typer.Context, what: str) -> list[Named]:
    """What the database of the command has; nothing if it cannot be read at once."""
    # Here, because only completion needs it, and not every completion.
    from kndb.errors import DatabaseError
    from kndb.store.names import names_in

    try:
        found = names_in(Path(context.params["db"]), what)
    except DatabaseError:
        return []
    return [(name, _OTHER.sub(" ", about)) for name, about in found if _PLAIN.fullmatch(name)]


def models(context: typer.Context, incomplete: str) -> list[Named]:
    """Models in the database; several with commas."""
    return _listed(incomplete, _names(context, "models"))


def loadable(context: typer.Context, incomplete: str) -> list[Named]:
    """Models that can be loaded by name: built in, in the hub's cache, or in the database."""
    from kndb.models.available import available_models

    here = [(model.name, model.where) for model in available_models()]
    return _starting(incomplete, [*here, *_names(context, "models")])


def runs(context: typer.Context, incomplete: str) -> list[Named]:
    """Runs by their names and ids."""
    return _starting(incomplete, _names(context, "runs"))


def searches(context: typer.Context, incomplete: str) -> list[Named]:
    """Searches for degenerate neurons by their ids."""
    return _starting(incomplete, _names(context, "searches"))


def relations(context: typer.Context, incomplete: str) -> list[Named]:
    """Relations by their ids, and by labels without a comma; several with commas."""
    return _listed(incomplete, _names(context, "relations"))


def languages(context: typer.Context, incomplete: str) -> list[Named]:
    """Languages; several with commas."""
    return _listed(incomplete, _names(context, "languages"))


def tables(context: typer.Context, incomplete: str) -> list[Named]:
    """Tables and views."""
    return _starting(incomplete, _names(context, "tables"))


def last_table(context: typer.Context, incomplete: str) -> list[Named]:
    """Tables and views as the last word of a query."""
    before, space, last = incomplete.rpartition(" ")
    if not _PLAIN_QUERY.fullmatch(before):
        return []
    return [(f"{before}{space}{name}", what) for name, what in tables(context, last)]


def _starting(incomplete: str, names: Sequence[Named], before: str = "") -> list[Named]:
    """The names that begin so, each once, as the shell inserts them after what is before.

    zsh and fish quote what they insert, and bash does not, so that spaces need a backslash. (What
    is typed beyond a space is not completed in bash: Typer compares it without the backslash.)
    """
    in_bash = os.environ.get(VARIABLE) == "complete_bash"
    found = [
        (before + name, what) for name, what in dict(names).items() if name.startswith(incomplete)
    ]
    return [(name.replace(" ", "\\ ") if in_bash else name, what) for name, what in found]


def _listed(incomplete: str, names: Sequence[Named]) -> list[Named]:
    """Likewise for the last of several names with commas, without those already given.

    >>> _listed("en,", [("en", ""), ("zh", "10 facts")])
    [('en,zh', '10 facts')]
    """
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    rest = [(name, what) for name, what in names if name not in given]
    return _starting(last, rest, before + comma)
