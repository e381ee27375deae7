"""Every page in its three forms, with what the library answers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import kndb
from kndb_serve.render.cells import texts_of

Get = Callable[[str, str], list[dict[str, Any]]]

PLACES = (
    "/search",
    "/search?q=France",
    "/facts",
    "/facts?lang=zh&relation=P36",
    "/fact/P36%3AQ142",
    "/fact/P36%3AQ142?tau=0.1&share=0.2",
    "/neurons",
    "/neurons?layer=0&lang=en",
    "/neuron/0%3A1",
    "/relations",
    "/relation/P36",
    "/relation/capital?lang=zh",
    "/languages",
    "/language/en",
    "/layers",
    "/layers?colour=relations&lang=en",
    "/edits",
    "/runs",
    "/compare",
    "/graph",
    "/graph?fact=P36:Q142",
    "/graph?relation=P36",
    "/graph?neuron=0:2",
    "/sql",
    "/sql?q=FROM+prompt",
)


def in_form(place: str, form: str) -> str:
    path, mark, query = place.partition("?")
    return f"{path}.{form}{mark}{query}"


class Outline(HTMLParser):
    """Checks that elements are closed in order, and collects landmarks, links and headings."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def tags(self) -> list[str]:
        return [tag for tag, _ in self.seen]


@pytest.mark.parametrize("place", PLACES)
def test_a_page_is_html_with_landmarks_and_nothing_inline(place: str, client: TestClient) -> None:
    answer = client.get(place)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    outline = Outline(answer.text)
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert landmark in outline.tags()
    assert outline.tags().count("h1") == outline.tags().count("main") == 1
    for tag, attributes in outline.seen:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        if tag == "script":
            assert str(attributes["src"]).startswith("/static/")
        for name in ("src", "href", "action"):
            assert str(attributes.get(name, "/")).startswith(("/", "#")), attributes
    ids = [attributes["id"] for _, attributes in outline.seen if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("place", PLACES)
def test_a_page_has_the_same_tables_as_json_and_csv(place: str, client: TestClient) -> None:
    page = client.get(in_form(place, "json"))
    assert page.status_code == 200, page.text
    tables = page.json()["tables"]
    assert tables
    assert page.json()["title"]
    name, first = next(iter(tables.items()))
    answer = client.get(in_form(place, "csv"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == len(first["rows"]) == first["total"], name
    if lines:
        assert list(lines[0]) == list(first["rows"][0])


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)])
def test_links_of_all_pages_lead_somewhere(every: bool, client: TestClient) -> None:
    """Each link once, though it is on many pages; of those that differ in order or form, one."""
    pages = {place: client.get(place).text for place in PLACES}
    found = {link: place for place, text in pages.items() for link in links(text)}
    alike = {re.sub(r"sort=[^&]*|(?<=\.)(csv|json|parquet)\b", "", link): link for link in found}
    assert len(PLACES) < len(alike) < len(found)
    for link in sorted(found if every else alike.values()):
        answer = client.get(link)
        assert answer.status_code == 200, (found[link], link, answer.text)


def links(html: str) -> set[str]:
    """Where a page's links lead, without the part after ``#``."""
    seen = Outline(html).seen
    found = {str(attributes["href"]) for tag, attributes in seen if tag in ("a", "link")}
    return {link.partition("#")[0] for link in found} - {""}


def test_a_fact_has_its_neurons_side_by_side(rows: Get, path: Path) -> None:
    found = rows("/fact/P36%3AQ142.json", "neurons")
    assert [(row["layer"], row["neuron"], row["shared"]) for row in found] == [
        (0, 1, True),
        (0, 7, False),
        (1, 3, False),
    ]
    with kndb.open(path) as db:
        scores = {
            (row["layer"], row["neuron"], row["lang"]): row["score"]
            for row in db.query(fact="P36:Q142").to_dicts()
        }
    told = {
        (row["layer"], row["neuron"], lang): row[lang]
        for row in found
        for lang in ("en", "zh")
        if row[lang] is not None
    }
    assert told == scores


def test_thresholds_select_anew(rows: Get) -> None:
    found = rows("/fact/P36%3AQ142.json?tau=0.1", "neurons")
    assert (1, 5) in [(row["layer"], row["neuron"]) for row in found]


def test_a_neuron_has_its_facts_and_neighbours(rows: Get) -> None:
    assert [row["fact_key"] for row in rows("/neuron/0%3A2.json", "facts")] == [
        "P36:Q1006",
        "P36:Q1008",
        "P36:Q983",
    ]
    (near,) = rows("/neuron/0%3A7.json", "neighbours")[:1]
    assert (near["layer"], near["neuron"], near["n_shared"]) == (0, 1, 1)
    assert near["expected"] == pytest.approx(1 * 1 / 5)


def test_a_relation_and_a_language_know_their_layers(rows: Get) -> None:
    layers = rows("/relation/P36.json", "layers")
    assert [(row["layer"], row["n_neurons"]) for row in layers] == [(0, 3), (1, 1)]
    layers = rows("/language/zh.json", "layers")
    assert [(row["layer"], row["n_neurons"]) for row in layers] == [(0, 2)]


def test_search_finds_in_any_script(rows: Get, client: TestClient) -> None:
    assert {row["fact_key"] for row in rows("/search.json?q=法国", "facts")} == {"P36:Q142"}
    assert {row["fact_key"] for row in rows("/search.json?q=PARIS", "facts")} == {"P36:Q142"}
    assert [row["relation_id"] for row in rows("/search.json?q=curr", "relations")] == ["P38"]
    assert "/neuron/0%3A1" in client.get("/?q=0:1").text


def test_suggestions_complete_what_is_typed(rows: Get) -> None:
    found = rows("/suggest.json?q=gui", "suggestions")
    assert [row["name"] for row in found] == ["Guinea", "Equatorial Guinea"]
    assert rows("/suggest.json?q=cote d", "suggestions")[0]["name"] == "Côte d’Ivoire"
    assert rows("/suggest.json?q=%23", "suggestions") == []


def test_a_table_is_sorted_and_paged_by_the_address(rows: Get, client: TestClient) -> None:
    place = "/facts.json?sort=facts:-subject&limit=2&after=facts:1"
    subjects = [row["subject"] for row in rows("/facts.json", "facts")]
    shown = [row["subject"] for row in rows(place, "facts")]
    assert shown == sorted(subjects, reverse=True)[1:3]
    about = client.get(place).json()["tables"]["facts"]
    assert (about["total"], about["next"]) == (len(subjects), 3)
    page = client.get("/facts?sort=facts:-subject&limit=2").text
    assert 'aria-sort="descending"' in page
    assert "after=facts%3A2" in page


def test_sentences_have_their_commands_as_code(client: TestClient) -> None:
    page = client.get("/fact/P36%3AQ142").text
    assert "<code>kndb graph degenerate</code>" in page
    assert "`" not in page


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("facts", [2026, 27610, None], ["2026", "27,610", "–"]),
        ("neuron", [27610], ["27610"]),
        ("run_id", [27610], ["27610"]),
        ("shown", [True, False], ["true", "false"]),
    ],
)
def test_large_counts_are_grouped(name: str, values: list[Any], texts: list[str]) -> None:
    assert texts_of(name, values) == texts
