"""A server makes its slowest pages before anybody asks."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from kndb.query import Database
from kndb_serve.app import WARMED, Site, parsed
from kndb_serve.pages import pages
from kndb_serve.reader import Reader
from serving import client_of
from small_store import finished_run


def test_what_was_counted_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    site = Site(Reader(path), 60, pages())
    site.warm()

    def counted_again(*args: object, **kwargs: object) -> None:
        raise AssertionError

    for slow in ("most_shared", "neuron_cells", "runs", "languages", "accuracy"):
        monkeypatch.setattr(Database, slow, counted_again)
    for place in (*WARMED, "/language/en"):
        assert site.answered(parsed(place, "", ())).status_code == 200
    site.reader.close()


def test_without_a_file_it_ends(tmp_path: Path) -> None:
    Site(Reader(tmp_path / "missing.duckdb"), 60, pages()).warm()


def test_a_server_begins_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed = Event()
    monkeypatch.setattr(Site, "warm", lambda site: warmed.set())
    with client_of(tmp_path / "k.duckdb", warm=True):
        assert warmed.wait(60)
