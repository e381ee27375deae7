"""kndb: a knowledge-neuron database.

>>> import kndb
>>> with kndb.open("demo.duckdb") as db:  # doctest: +SKIP
...     db.query(fact="Benin", lang="en").to_dicts()

Importing it imports nothing heavy: every public name is loaded when it is first used. Asking a
database never imports torch, transformers, SQLAlchemy or Arrow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kndb.attribution import PRESETS, Attribution, Settings, attribute
    from kndb.edit import enhance, suppress
    from kndb.errors import (
        DatabaseCorrupt,
        DatabaseError,
        DatabaseLocked,
        DatabaseMissing,
        DatabaseVersion,
        DatasetError,
        KndbError,
        ModelError,
        NotFound,
        UsageError,
    )
    from kndb.factcheck import FactChecker, Verdict
    from kndb.facts import Fact, Prompt, Relation
    from kndb.models import load_model
    from kndb.neurons import Neuron
    from kndb.query import Database
    from kndb.query import open_database as open
    from kndb.store.result import Result

__all__ = [
    "PRESETS",
    "Attribution",
    "Database",
    "DatabaseCorrupt",
    "DatabaseError",
    "DatabaseLocked",
    "DatabaseMissing",
    "DatabaseVersion",
    "DatasetError",
    "Fact",
    "FactChecker",
    "KndbError",
    "ModelError",
    "Neuron",
    "NotFound",
    "Prompt",
    "Relation",
    "Result",
    "Settings",
    "UsageError",
    "Verdict",
    "attribute",
    "enhance",
    "load_model",
    "open",
    "suppress",
]

_HOMES = {
    "kndb.attribution": ("PRESETS", "Attribution", "Settings", "attribute"),
    "kndb.factcheck": ("FactChecker", "Verdict"),
    "kndb.edit": ("enhance", "suppress"),
    "kndb.facts": ("Fact", "Prompt", "Relation"),
    "kndb.models": ("load_model",),
    "kndb.neurons": ("Neuron",),
    "kndb.query": ("Database",),
    "kndb.store.result": ("Result",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    if name == "open":
        return import_module("kndb.query").open_database
    if name not in __all__:
        raise AttributeError(f"module 'kndb' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "kndb.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
