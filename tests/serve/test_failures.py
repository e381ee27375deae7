"""What cannot be answered: one sentence, a fitting status, and what comes close."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kndb_serve import app
from kndb_serve.asked import address
from kndb_serve.page import Page
from kndb_serve.pages import PAGES, Made
from kndb_serve.view import View
from serving import client_of
from small_store import start_from_empty

MISSING = {
    "/nothing": "There is no such page.",
    "/fact": "There is no such page.",
    "/facts/P36": "There is no such page.",
    "/claims?claim=x": "the server was started without a model; start it with",
    "/fact/Q0:Q0": "No fact matches",
    "/relation/P0": "There is no relation 'P0'.",
    "/language/xx": "There is no language 'xx'.",
    "/neuron/9:1": "has no neuron 9:1; it has 2 layers of 8 neurons",
    "/edit/1": "There is no edit '1'",
    "/run/1x": "There is no run '1x'.",
    "/facts?lang=xx": "No fact matches",
    "/neurons?run=1x": "There is no run '1x'.",
    "/facts.csv?table=x": "This page has no table 'x'.",
}
WRONG = {
    "/fact/P36:Q142?tau=x": "tau is 'x', but must be a number.",
    "/neurons?tau=2": "tau is 2, but must be at least 0.05 and below 1",
    "/neurons?tau=nan": "tau is nan",
    "/neurons?share=1": "share is 1, but must be at least 0 and below 1.",
    "/neurons?layer=-1": "layer is '-1', but must be a whole number from 0",
    "/facts?limit=0": "limit is '0', but must be a whole number from 1 to 1",
    "/facts?sort=facts:nothing": "There is no column 'nothing'; use fact_key",
    "/facts?after=facts:x": "after is 'x'",
    "/facts?colour=red": "This page has no parameter 'colour'; it has run, lang, relation",
    "/layers?colour=red": "colour is 'red', but must be one of facts, relations, neurons.",
    "/neuron/one": "is not a neuron",
    f"/?q={'x' * 501}": "q has 501 characters, but may have 500 at most.",
    "/?q=%3F": "is not a fact",
}


@pytest.mark.parametrize("place", MISSING)
def test_what_is_not_there_is_404(place: str, client: TestClient) -> None:
    check(client, place, 404, MISSING[place])


@pytest.mark.parametrize("place", WRONG)
def test_what_is_wrong_is_400(place: str, client: TestClient) -> None:
    check(client, place, 400, WRONG[place])


def check(client: TestClient, place: str, status: int, sentence: str) -> None:
    path, mark, query = place.partition("?")
    if "." not in path:
        said = client.get(f"{path if path != '/' else '/search'}.json{mark}{query}")
        assert said.status_code == status
        assert sentence in said.json()["error"]
    answer = client.get(place)
    assert answer.status_code == status
    shown = answer.text.replace("&#39;", "'")
    assert sentence in shown


def test_data_may_have_more_rows_than_a_page(client: TestClient) -> None:
    assert client.get("/facts?limit=1001").status_code == 400
    assert client.get("/facts.json?limit=1001").status_code == 200
    assert client.get("/facts.csv?limit=100001").status_code == 400


def test_the_nearest_matches_lead_on(client: TestClient) -> None:
    assert "France" in client.get("/fact/Frence.json").json()["nearest"]
    page = client.get("/fact/Frence").text
    assert 'href="/?q=France"' in page


def test_a_key_may_have_any_character(client: TestClient) -> None:
    for key in ("a/b", "x.json", "..", "%2F", "?", "#", "é", "法x"):
        answer = client.get(address("fact", key, form="json"))
        assert answer.status_code in (400, 404)
        assert "page" not in answer.json()["error"]


def test_a_page_that_takes_too_long_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(view: View) -> Page:
        view.db.sql("SELECT count(*) FROM range(100_000_000_000) AS a(x) WHERE x % 7 = 3")
        return Page("never", "never")

    monkeypatch.setitem(PAGES, "slow", Made(slow))
    answer = client_of(path, seconds=0.2).get("/slow.json")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "took longer than 0.2 seconds" in answer.json()["error"]


def test_too_many_requests_are_turned_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Event(), threading.Event()

    def held(view: View) -> Page:
        entered.set()
        assert leave.wait(60)
        return Page("done", "done")

    monkeypatch.setitem(PAGES, "held", Made(held))
    monkeypatch.setattr(app, "WAITING", 1)
    with client_of(path) as client:
        first = threading.Thread(target=client.get, args=["/held"])
        first.start()
        assert entered.wait(60)
        try:
            answer = client.get("/runs.json")
        finally:
            leave.set()
            first.join()
        assert answer.status_code == 503
        assert "Too many requests" in answer.json()["error"]
        assert client.get("/runs").status_code == 200


def test_a_failure_in_a_page_is_one_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(view: View) -> Page:
        raise ZeroDivisionError("secret")

    monkeypatch.setitem(PAGES, "broken", Made(broken))
    answer = client_of(path).get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_an_empty_database_has_a_front_page(tmp_path: Path) -> None:
    path = tmp_path / "empty.duckdb"
    start_from_empty(path)
    client = client_of(path)
    assert "No model has been run yet" in client.get("/").text
    for place in ("/facts", "/neurons", "/layers", "/relation/P36", "/neuron/0:1"):
        assert client.get(place).status_code == 404
    for place in ("/relations", "/languages", "/runs", "/edits"):
        assert client.get(place).status_code == 200


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    answer = client_of(tmp_path / "none.duckdb").get("/runs.json")
    assert answer.status_code == 500
    assert "There is no database at" in answer.json()["error"]
