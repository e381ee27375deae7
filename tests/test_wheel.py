"""A wheel built from the tree works from any folder, with its migrations and demo inside."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_what_it_needs_and_no_loose_folders(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert top == {"kndb", "kndb_ingest", "kndb_cli", "kndb_serve", "kndb_migrations"}
    for needed in (
        "kndb_ingest/demo/demo.jsonl",
        "kndb/models/embedded/demo-masked/model.safetensors",
        "kndb/models/embedded/demo-causal/tokenizer.json",
        "kndb_migrations/env.py",
        "kndb_serve/static/kndb.css",
        "kndb_serve/templates/page.html",
        "kndb/py.typed",
    ):
        assert needed in names
    assert any(name.startswith("kndb_migrations/versions/") for name in names)


def test_the_demo_runs_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)
    # -P and the path: this kndb, and not the one under test.
    code = (
        "import kndb, sys; from kndb_cli.main import main; print(kndb.__file__); sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "demo", "--limit", "8"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout
    assert (tmp_path / "demo.duckdb").is_file()
