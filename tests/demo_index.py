"""A small demo database, searched and calibrated: made by one worker, copied by each user."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.factcheck.calibration import CalibrationRequest, calibrate
from kndb.factcheck.calibration_rows import Calibration
from kndb.models import ModelChoice
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest

FACTS = 14
MODEL = ModelChoice("demo-masked")


@dataclass(frozen=True)
class DemoIndex:
    """Capitals in English and Chinese through the masked demo model."""

    database: Path
    calibration: Calibration


def demo_index(factory: pytest.TempPathFactory) -> DemoIndex:
    """A private copy of the database."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = shared / "demo-index.pickle"
    with FileLock(shared / "demo-index.lock"):
        if not made.exists():
            unfinished = shared / "demo-index.unfinished"
            unfinished.write_bytes(pickle.dumps(_make(shared / "demo-index.duckdb")))
            unfinished.rename(made)
    copy = factory.mktemp("demo-index") / "demo.duckdb"
    shutil.copyfile(shared / "demo-index.duckdb", copy)
    return DemoIndex(copy, pickle.loads(made.read_bytes()))


def _make(path: Path) -> Calibration:
    request = IngestRequest(path, MODEL, "demo", langs=["en", "zh"], relations=["P36"], limit=FACTS)
    ingest(request)
    find_degenerate(SearchRequest(path, MODEL, top=8))
    return calibrate(CalibrationRequest(path, MODEL))
