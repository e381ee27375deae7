"""``kndb serve --export``: what it says, and what it refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from kndb_cli.main import main
from small_store import finished_run


def test_an_export_says_what_it_wrote_and_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path / "k.duckdb")
    site = tmp_path / "site"
    assert (
        main(["serve", "--db", str(tmp_path / "k.duckdb"), "--export", str(site), "--most", "2"])
        == 0
    )
    told = capsys.readouterr().err
    assert f"{site}: 2 pages, " in told
    assert "more are left out; --most takes more." in told
    assert (site / "index.html").exists()


def test_a_folder_with_other_files_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_run(tmp_path / "k.duckdb")
    assert main(["serve", "--db", str(tmp_path / "k.duckdb"), "--export", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
