"""kndb: a knowledge-neuron database.

>>> import kndb
>>> with kndb.open("demo.duckdb") as db:  # doctest: +SKIP
...     db.query(fact="Benin", lang="en").to_dicts()

Importing the package imports nothing heavy: every public name is loaded when it is first used.
Querying a database never imports torch, transformers, SQLAlchemy or Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kndb.lazy import lazily

PUBLIC = {
    "kndb.attribution": ("PRESETS", "Attribution", "Settings", "attribute"),
    "kndb.edit": (
        "Delta",
        "Editor",
        "direction",
        "edited",
        "enhance",
        "erase",
        "suppress",
        "update",
    ),
    "kndb.errors": (
        "DatabaseCorrupt",
        "DatabaseError",
        "DatabaseLocked",
        "DatabaseMissing",
        "DatabaseVersion",
        "DatasetError",
        "KndbError",
        "ModelError",
        "NotFound",
        "UsageError",
    ),
    "kndb.crew.cluster": ("RayCluster",),
    "kndb.factcheck": ("FactChecker", "Verdict"),
    "kndb.facts": ("Fact", "Prompt", "Relation"),
    "kndb.graph.overlap": ("overlap",),
    "kndb.models": ("ModelChoice", "load_model"),
    "kndb.neurons": ("Neuron",),
    "kndb.query": ("Database", "open"),
    "kndb.store.merging": ("Merged", "merge"),
    "kndb.store.result": ("Result",),
    "kndb_ingest.pipeline": ("ingest",),
    "kndb_ingest.request": ("IngestRequest",),
    "kndb_ingest.summary": ("IngestSummary",),
}
"""The public names by the module that documents each."""

__all__ = sorted(name for names in PUBLIC.values() for name in names)

if TYPE_CHECKING:  # type checkers do not follow __getattr__; a test compares the two lists
    from kndb.attribution import PRESETS as PRESETS
    from kndb.attribution import Attribution as Attribution
    from kndb.attribution import Settings as Settings
    from kndb.attribution import attribute as attribute
    from kndb.crew.cluster import RayCluster as RayCluster
    from kndb.edit import Delta as Delta
    from kndb.edit import Editor as Editor
    from kndb.edit import direction as direction
    from kndb.edit import edited as edited
    from kndb.edit import enhance as enhance
    from kndb.edit import erase as erase
    from kndb.edit import suppress as suppress
    from kndb.edit import update as update
    from kndb.errors import DatabaseCorrupt as DatabaseCorrupt
    from kndb.errors import DatabaseError as DatabaseError
    from kndb.errors import DatabaseLocked as DatabaseLocked
    from kndb.errors import DatabaseMissing as DatabaseMissing
    from kndb.errors import DatabaseVersion as DatabaseVersion
    from kndb.errors import DatasetError as DatasetError
    from kndb.errors import KndbError as KndbError
    from kndb.errors import ModelError as ModelError
    from kndb.errors import NotFound as NotFound
    from kndb.errors import UsageError as UsageError
    from kndb.factcheck import FactChecker as FactChecker
    from kndb.factcheck import Verdict as Verdict
    from kndb.facts import Fact as Fact
    from kndb.facts import Prompt as Prompt
    from kndb.facts import Relation as Relation
    from kndb.graph.overlap import overlap as overlap
    from kndb.models import ModelChoice as ModelChoice
    from kndb.models import load_model as load_model
    from kndb.neurons import Neuron as Neuron
    from kndb.query import Database as Database
    from kndb.query import open as open
    from kndb.store.merging import Merged as Merged
    from kndb.store.merging import merge as merge
    from kndb.store.result import Result as Result
    from kndb_ingest.pipeline import ingest as ingest
    from kndb_ingest.request import IngestRequest as IngestRequest
    from kndb_ingest.summary import IngestSummary as IngestSummary


__getattr__ = lazily(__name__, PUBLIC)


def __dir__() -> list[str]:
    return __all__
