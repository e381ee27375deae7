"""Planted groups come out, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from kndb.errors import NotFound
from kndb.graph.groups import groups
from kndb.graph.selection import Selection
from kndb.plotting.plot import plot
from kndb.store.database import connect
from planted_search import FACTS, add_search
from planted_store import plant


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


@pytest.mark.parametrize("by", ["fact", "relation", "all"])
def test_exactly_the_planted_groups_come_out(path: Path, by: str) -> None:
    found = groups(path, by=by).to_dicts()  # type: ignore[arg-type]
    expected = {
        "fact": ["0:1,0:2,2:9", "0:1,1:5", "0:2,2:8"],
        "relation": ["0:1,0:2,1:5,2:9", "0:2,2:8"],
        "all": ["0:1,0:2,1:5,2:8,2:9"],
    }
    assert [row["neurons"] for row in found] == expected[by]
    assert (found[0]["n_cliques"], found[0]["largest_clique"]) == (1, "0:1,0:2,2:9")


def test_groups_say_their_languages_pairs_and_drops(path: Path) -> None:
    first = groups(path).to_dicts()[0]
    assert (first["fact_key"], first["n_pairs"], first["langs"]) == ("P36:Q1", 3, "en")
    assert first["mean_drop"] == pytest.approx(0.31)
    with pytest.raises(NotFound, match="found no degenerate pairs"):
        groups(path, Selection(fact="P38:Q3", langs=["en"]))


def test_without_pairs_the_reason_is_said(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    add_search(path, plant(path, FACTS))
    with connect(path, write=True) as connection:
        connection.execute("DELETE FROM degenerate_set WHERE size = 2")
        connection.execute(
            "DELETE FROM degenerate_fact WHERE fact_id = "
            "(SELECT fact_id FROM fact WHERE fact_key = 'P36:Q1')"
        )
    with pytest.raises(NotFound, match=r"only larger sets \(1\)"):
        groups(path)
    with pytest.raises(NotFound, match="does not cover the selected facts"):
        groups(path, Selection(fact="P36:Q1"))
    with pytest.raises(NotFound, match=r"found no degenerate pairs .* choose other facts"):
        groups(path, Selection(fact="P38:Q3"))


def test_a_run_that_was_not_searched_says_so(tmp_path: Path) -> None:
    plant(tmp_path / "k.duckdb", FACTS)
    with pytest.raises(NotFound, match="has not been searched"):
        groups(tmp_path / "k.duckdb")
    with pytest.raises(NotFound, match="has not been searched"):
        plot(tmp_path / "k.duckdb", "degenerate", tmp_path / "a.png")


def test_a_search_that_has_just_begun_hides_no_finished_one(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    add_search(path, plant(path, FACTS))
    found = groups(path).rows()
    begun = (
        "INSERT INTO degenerate_search SELECT 2, run_id, '{}', 'running', now(), NULL, '0', NULL "
    )
    with connect(path, write=True) as connection:
        connection.execute(begun + "FROM degenerate_search")
    assert groups(path).rows() == found != []
