"""A small demo database, searched for degenerate neurons, and calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.factcheck.calibration import Calibration, CalibrationRequest, calibrate
from kndb.models import LanguageModel, ModelChoice, load_model
from kndb_ingest.pipeline import IngestRequest, ingest

FACTS = 24


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capitals in English and Chinese through the masked demo model."""
    path = tmp_path_factory.mktemp("factcheck") / "demo.duckdb"
    ingest(
        IngestRequest(
            path,
            ModelChoice("demo-masked"),
            "demo",
            langs=["en", "zh"],
            relations=["P36"],
            limit=FACTS,
        )
    )
    find_degenerate(SearchRequest(path, ModelChoice("demo-masked"), top=8))
    return path


@pytest.fixture(scope="session")
def calibration(searched: Path) -> Calibration:
    return calibrate(CalibrationRequest(searched, ModelChoice("demo-masked")))


@pytest.fixture(scope="session")
def model() -> LanguageModel[Any]:
    return load_model("demo-masked")
