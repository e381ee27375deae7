"""The site as files: every link leads to a file, and an export never harms another folder."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from kndb.errors import UsageError
from kndb_serve.export import export_site
from odd_labels import evil_database

_LINK = re.compile(r'\b(?:href|src|data-index)="([^"]*)"')


def links(file: Path) -> list[Path]:
    """The files that a page's links lead to."""
    found = {unescape(link).partition("#")[0] for link in _LINK.findall(file.read_text())}
    return [(file.parent / link).resolve() for link in found if link]


@pytest.fixture(scope="module")
def site(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "site"
    done = export_site(path, folder)
    assert (done.failed, done.left_out) == (0, 0)
    assert done.pages == len([*folder.rglob("*.html")])
    assert done.size == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return folder


def test_every_link_leads_to_a_file(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert {"index.html", "fact", "neuron", "graph", "language"} <= {
        file.relative_to(site).parts[0] for file in pages
    }
    for page in pages:
        assert all(file.is_file() for file in links(page)), page
        assert not re.search(r'(href|src|action)="/', page.read_text()), page


def test_pages_that_two_addresses_lead_to_are_written_once(site: Path) -> None:
    assert sorted(file.name for file in (site / "relation").iterdir()) == ["P36.html", "P38.html"]


def test_a_file_has_nothing_that_only_a_server_can_do(site: Path) -> None:
    page = (site / "fact" / "P36-Q142.html").read_text()
    assert "<select" not in page
    assert 'type="range"' not in page
    assert "Content-Security-Policy" in page
    assert not (site / "sql.html").exists()


def test_the_index_knows_facts_relations_and_neurons(site: Path) -> None:
    rows = json.loads((site / "search.json").read_text())
    found = {(name, kind): file for name, kind, file in rows}
    assert found["法国 → 巴黎", "capital"] == found["France → Paris", "capital"]
    assert found["currency", "relation"] == "relation/P38.html"
    assert all((site / file).is_file() for file in found.values())
    assert ("0:7", "neuron") in found


def test_no_more_pages_than_asked_for(path: Path, tmp_path: Path) -> None:
    done = export_site(path, tmp_path / "site", most=3)
    assert (done.pages, done.left_out > 10) == (3, True)
    for page in (tmp_path / "site").rglob("*.html"):
        assert all(file.is_file() for file in links(page)), page


def test_another_folder_is_left_alone(path: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(UsageError, match="not empty"):
        export_site(path, tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        export_site(path, tmp_path / "letter.txt")
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_an_earlier_export_is_replaced_even_an_interrupted_one(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_site(path, folder, report=stop)
    assert len([*folder.rglob("*.html")]) == 5
    (folder / "mine.txt").write_text("not of the export")
    more = export_site(path, folder, most=8)
    fewer = export_site(path, folder, most=2)
    assert more.pages > fewer.pages == len([*folder.rglob("*.html")])
    assert (folder / "mine.txt").exists()


def test_at_any_moment_what_is_there_is_listed(path: Path, tmp_path: Path) -> None:
    """So that the next export can take away what one that was killed has left."""
    folder = tmp_path / "site"

    def check(done: int, total: int) -> None:
        files = {file.relative_to(folder).as_posix() for file in folder.rglob("*.html")}
        assert len(files) == done
        assert files <= {*json.loads((folder / "kndb-export.json").read_text())["files"]}

    export_site(path, folder, report=check, most=8)


def test_names_are_safe_whatever_the_labels(tmp_path: Path) -> None:
    evil_database(tmp_path / "evil.duckdb")
    export_site(tmp_path / "evil.duckdb", tmp_path / "site")
    for file in (tmp_path / "site").rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9_~.-]+", file.name), file
        if file.suffix == ".html":
            assert "<script>" not in file.read_text()
            assert all(link.is_file() for link in links(file)), file
