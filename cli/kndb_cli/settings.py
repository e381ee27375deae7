"""Defaults from the environment and from a configuration file: ``KNDB_DB``, ``KNDB_MODEL`` etc.

An option goes before the environment, and that before the file: its values act as if they were in
the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kndb.errors import UsageError

SETTINGS: Mapping[str, str] = {
    "db": "the database file",
    "model": "the model, or a part of its name where runs are chosen",
    "device": "auto, cpu, cuda, mps or spread",
    "dtype": "float32, bfloat16 or float16",
    "pager": "the program that shows long tables, or none",
}
"""What can be set, and what it is."""


def variable(setting: str) -> str:
    """The environment variable of a setting.

    >>> variable("db")
    'KNDB_DB'
    """
    return f"KNDB_{setting.upper()}"


def config_path() -> Path:
    """The configuration file, whether it exists or not: ``KNDB_CONFIG``, or the user's own."""
    if named := os.environ.get("KNDB_CONFIG"):
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kndb" / "config.toml"


def read_config(path: Path) -> dict[str, str]:
    """The settings of a configuration file; none if there is no file.

    Raises:
        UsageError: it cannot be read, or sets something else.
    """
    if not path.is_file():
        return {}
    # Deferred: most people have no such file.
    import tomllib

    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}; see `kndb config --help`.") from error
    for name, value in found.items():
        if name not in SETTINGS:
            known = ", ".join(SETTINGS)
            raise UsageError(f"{path} sets {name!r:.80}; what can be set is {known}.")
        if not isinstance(value, str):
            raise UsageError(f"{path} sets {name} to {value!r:.80}; write a text, in quotes.")
    return found


@contextmanager
def configured() -> Iterator[None]:
    """Put the file's settings into the environment for the block, where it has none of its own.

    Raises:
        UsageError: the file cannot be read.
    """
    added = {
        variable(name): value
        for name, value in read_config(config_path()).items()
        if variable(name) not in os.environ
    }
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
