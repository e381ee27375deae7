"""The demo index and its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo_index import DemoIndex, demo_index
from kndb.factcheck.calibration_rows import Calibration
from kndb.models import LanguageModel, load_model


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> DemoIndex:
    return demo_index(tmp_path_factory)


@pytest.fixture(scope="session")
def searched(index: DemoIndex) -> Path:
    return index.database


@pytest.fixture(scope="session")
def calibration(index: DemoIndex) -> Calibration:
    return index.calibration


@pytest.fixture(scope="session")
def model() -> LanguageModel[Any]:
    return load_model("demo-masked")
