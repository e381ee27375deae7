"""A browser that asks the application of ``kndb serve`` in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from kndb_serve.app import application


def client_of(path: Path, host: str = "127.0.0.1", **options: Any) -> TestClient:
    """As this machine asks a server that is bound to ``host``."""
    return TestClient(application(path, host, **options), base_url="http://127.0.0.1:8765")
