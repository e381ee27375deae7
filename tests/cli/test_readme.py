"""The README against the program. ``tests/docs`` runs the commands with output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from example_lines import parse, typed_lines
from kndb_cli.main import application

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def program() -> Any:
    return get_command(application([]))


@pytest.mark.parametrize("line", typed_lines(README))
def test_what_is_shown_has_options_that_exist(line: str, program: Any) -> None:
    parse(program, line)


@pytest.mark.parametrize(
    "folder", ["kndb", "ingest", "cli", "migrations", "tests", "benchmarks", "docs"]
)
def test_every_folder_is_named(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    assert f"| `{folder}/` |" in README
