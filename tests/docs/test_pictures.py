"""Pictures that pages show are there, and small enough to be kept in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_BYTES = 150_000
SHOWN = re.compile(r"!\[[^\]]+\]\(([^)]+\.png)\)")
PICTURES = [(page, name) for page in PAGES for name in SHOWN.findall(page.read_text("utf-8"))]


@pytest.mark.parametrize(("page", "name"), PICTURES, ids=[name for _, name in PICTURES])
def test_a_picture_is_there_and_small(page: Path, name: str) -> None:
    assert (page.parent / name).stat().st_size <= MOST_BYTES


def test_the_readme_shows_the_site() -> None:
    assert (ROOT / "README.md", "docs/pictures/fact-page.png") in PICTURES
