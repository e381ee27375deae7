"""Fixtures of the tests with several workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crews import FIXED, LOOSE, write_facts
from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.models import ModelChoice
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from saved_models import saved


@pytest.fixture(scope="session")
def many_facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "facts.jsonl"
    write_facts(path)
    return path


@pytest.fixture(scope="session")
def local(many_facts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a run in this process."""
    path = tmp_path_factory.mktemp("local") / "local.duckdb"
    ingest(IngestRequest(path, ModelChoice(str(saved("tiny-bert"))), str(many_facts), preset=FIXED))
    return path


@pytest.fixture(scope="session")
def searchable(local: Path, many_facts: Path) -> Path:
    """That database with a low threshold, so that facts have several knowledge neurons."""
    path = local.with_name("searchable.duckdb")
    path.write_bytes(local.read_bytes())
    model = ModelChoice(str(saved("tiny-bert")))
    ingest(IngestRequest(path, model, str(many_facts), preset=FIXED, tau=0.05))
    return path


@pytest.fixture(scope="session")
def local_search(searchable: Path) -> Path:
    """That database, after a search in this process."""
    path = searchable.with_name("search.duckdb")
    path.write_bytes(searchable.read_bytes())
    request = SearchRequest(path, ModelChoice(str(saved("tiny-bert"))), criterion=LOOSE, top=10)
    assert sum(find_degenerate(request).found.values()) > 0
    return path


def pytest_exception_interact(call: pytest.CallInfo[Any]) -> None:
    """End the run when SIGTERM does: Ray makes it a ``SystemExit``, for pytest one failed test."""
    if call.excinfo and call.excinfo.errisinstance(SystemExit):
        pytest.exit("The process was told to end.", returncode=1)
