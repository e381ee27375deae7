"""The application on a small database, asked in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving import client_of
from small_store import finished_run


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("serve") / "small.duckdb"
    finished_run(made)
    return made


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[TestClient]:
    with client_of(path) as made:
        yield made


@pytest.fixture
def rows(client: TestClient) -> Callable[[str, str], list[dict[str, Any]]]:
    """The rows of a table of a page, by the page's address."""

    def get(address: str, table: str) -> list[dict[str, Any]]:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = json.loads(answer.text)["tables"][table]["rows"]
        return found

    return get
