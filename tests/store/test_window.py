"""Some rows of a listing are the same as those rows of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import kndb
from kndb.errors import NotFound, UsageError
from kndb.store.result import Result
from small_store import finished_run

LISTINGS = {
    "facts": (None, "subject", "-lang", "-prompts", "relation"),
    "neurons": (None, "-n_facts", "n_facts", "-n_relations", "-score", "neuron", "langs"),
    "query": (None,),
}
CASES = [(name, sort) for name, sorts in LISTINGS.items() for sort in sorts]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kndb.Database]:
    path = tmp_path_factory.mktemp("window") / "small.duckdb"
    finished_run(path)
    with kndb.open(path) as database:
        yield database


@pytest.mark.parametrize("thresholds", [{}, {"tau": 0.1, "share": 0.2}])
@pytest.mark.parametrize(("name", "sort"), CASES)
def test_pages_are_the_parts_of_the_whole(
    db: kndb.Database, name: str, sort: str | None, thresholds: dict[str, float]
) -> None:
    asked: dict[str, Any] = {} if name == "facts" else thresholds
    asked = asked if sort is None else {**asked, "sort": sort}
    listing = getattr(db, name)
    whole = listing(**asked)
    assert whole.total == len(whole) > 3
    paged = []
    for offset in range(0, len(whole), 2):
        page = listing(limit=2, offset=offset, **asked)
        assert page.total == len(whole)
        paged += page.rows()
    assert paged == whole.rows()


def test_large_databases_count_neurons_in_a_pass(
    db: kndb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pages() -> list[Result]:
        return [
            db.neurons(limit=limit, offset=offset, sort=sort, layer=layer, lang=lang)
            for limit in (1, 3, 1000)
            for offset in (0, 1)
            for sort in (None, "-n_facts")
            for layer in (None, 0, [0, 1])
            for lang in (None, "en")
        ]

    grouped = pages()
    monkeypatch.setattr("kndb.store.knowledge.MANY", 0)
    passed = pages()
    assert [page.total for page in passed] == [page.total for page in grouped]
    assert [page.rows() for page in passed] == [page.rows() for page in grouped]
    with pytest.raises(NotFound, match="a knowledge neuron in layer 7"):
        db.neurons(layer=7, limit=1)


@pytest.mark.parametrize(("name", "sort"), [case for case in CASES if case[1]])
def test_the_whole_is_sorted(db: kndb.Database, name: str, sort: str) -> None:
    column, down = sort.removeprefix("-"), sort.startswith("-")
    values = [row[column] for row in getattr(db, name)(sort=sort).to_dicts()]
    assert values == sorted(values, reverse=down)
    assert len(set(values)) > 1 or column == "n_relations"


def test_a_page_of_a_query_counts_the_rows_of_the_top(db: kndb.Database) -> None:
    whole = db.query(top=1)
    page = db.query(top=1, limit=2, offset=1)
    assert page.rows() == whole.rows()[1:3]
    assert page.total == len(whole) < len(db.query())
    assert page.models == whole.models


def test_the_first_neurons_have_the_most_facts_in_any_language(db: kndb.Database) -> None:
    facts: dict[tuple[int, int], set[str]] = {}
    for row in db.query().to_dicts():
        facts.setdefault((row["layer"], row["neuron"]), set()).add(row["fact_key"])
    (first,) = db.neurons(limit=1).to_dicts()
    assert first["n_facts"] == max(map(len, facts.values()))
    assert len(facts[first["layer"], first["neuron"]]) == first["n_facts"]


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"limit": 0}, UsageError),
        ({"offset": -1}, UsageError),
        ({"sort": "lang; DROP TABLE fact"}, UsageError),
        ({"limit": 2, "offset": 1000}, NotFound),
    ],
)
def test_what_is_not_there_is_refused(
    db: kndb.Database, name: str, asked: dict[str, Any], error: type[Exception]
) -> None:
    if name == "query" and "sort" in asked:
        pytest.skip("a query has one order")
    with pytest.raises(error):
        getattr(db, name)(**asked)
