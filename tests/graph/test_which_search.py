"""Graphs, evaluations and calibrations choose a search by the same rule."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from kndb.degenerate.rows import FACTS, MEMBERS, SETS, SUBSETS
from kndb.errors import NotFound, UsageError
from kndb.evaluation import degenerate
from kndb.evaluation.stored import StoredRequest
from kndb.graph.build import build_graph
from kndb.graph.groups import groups
from kndb.graph.measures import measures
from kndb.graph.selection import Selection
from kndb.plotting.plot import plot
from kndb.store.database import connect
from kndb.store.searches import SearchWriter
from kndb.store.which_search import finished_search
from kndb_cli.main import main
from planted_store import plant
from small_store import Model

NEURONS = {"P36:Q1": {"en": [(0, 1), (0, 2)]}, "P36:Q2": {"en": [(1, 3), (1, 4)]}}
FIRST, SECOND = "P36:Q1", "P36:Q2"


def search(path: Path, run: int, fact: str, status: str = "finished") -> int:
    """Store a search of one fact whose two neurons are degenerate; return the search's id."""
    with connect(path) as connection:
        sql = "SELECT fact_id FROM fact WHERE fact_key = ?"
        ((fact_id,),) = connection.execute(sql, [fact]).fetchall()
    writer = SearchWriter(path, run, {"fact": fact})
    writer.begin()
    head = {"search_id": writer.search_id}
    owner = head | {"fact_id": fact_id, "lang": "en"}
    counts = {"n_neurons": 2, "n_tried": 1, "n_found": 1, "n_control": 1, "n_control_found": 0}
    measured = {"drop_share": 0.5, "max_subset_drop": 0.1, "p_before": 0.8, "p_after": 0.4}
    about = {"run_id": run, "set_id": 1, "kind": "degenerate", "size": 2, "is_degenerate": True}
    members = [{"set_id": 1, "layer": at, "neuron": n} for at, n in NEURONS[fact]["en"]]
    writer.append(
        pa.Table.from_pylist([owner | counts | {"status": "done"}], schema=FACTS),
        pa.Table.from_pylist([owner | about | measured], schema=SETS),
        pa.Table.from_pylist([head | member for member in members], schema=MEMBERS),
        pa.Table.from_pylist([], schema=SUBSETS),
    )
    writer.mark(status)
    return writer.search_id


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "k.duckdb"


def keys(path: Path, asked: int | str | None = None) -> list[str]:
    return [row["fact_key"] for row in groups(path, Selection(search=asked)).to_dicts()]


def finished(path: Path, run: int) -> int:
    with connect(path) as connection:
        return finished_search(connection, run)


def evaluated(path: Path, asked: str | None = None) -> object:
    return degenerate.evaluate(StoredRequest(path, replicates=100, search=asked))[0].settings.get(
        "search_id"
    )


def test_the_search_that_finished_last_counts_though_it_started_first(path: Path) -> None:
    run = plant(path, NEURONS)
    early, late = search(path, run, FIRST), search(path, run, SECOND)
    assert keys(path) == [SECOND]
    with connect(path, write=True) as connection:
        connection.execute(
            "UPDATE degenerate_search SET finished_at = finished_at + INTERVAL 1 HOUR "
            "WHERE search_id = ?",
            [early],
        )
    assert keys(path) == [FIRST]
    assert finished(path, run) == evaluated(path) == early != late


def test_an_unfinished_search_counts_where_none_is_finished_and_never_in_tables(path: Path) -> None:
    run = plant(path, NEURONS)
    half = search(path, run, FIRST, "interrupted")
    assert keys(path) == [FIRST]
    assert evaluated(path) is None
    with pytest.raises(NotFound, match="`kndb graph degenerate` makes one"):
        finished(path, run)
    with pytest.raises(UsageError, match=f"search {half} is not finished"):
        evaluated(path, str(half))
    whole = search(path, run, SECOND)
    search(path, run, FIRST, "running")
    assert keys(path) == [SECOND]
    assert finished(path, run) == evaluated(path) == whole


def test_another_search_is_asked_for(path: Path, tmp_path: Path) -> None:
    run = plant(path, NEURONS)
    early, late = search(path, run, FIRST), search(path, run, SECOND)
    assert keys(path, early) == keys(path, str(early)[:6]) == [FIRST]
    assert keys(path, late) == [SECOND]
    graph = build_graph(path, Selection(search=early), ["neuron"])
    assert list(graph.edges) == [("neuron 0:1", "neuron 0:2")]
    partners = {
        row["neuron"]: row["n_degenerate"]
        for row in measures(path, Selection(search=early)).to_dicts()
    }
    assert partners == {"0:1": 1, "0:2": 1, "1:3": 0, "1:4": 0}
    assert evaluated(path, str(early)) == early
    for name, asked in (("a", early), ("b", late)):
        plot(path, "degenerate", tmp_path / f"{name}.svg", Selection(search=asked))
    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()
    with pytest.raises(NotFound, match=rf"Search {late} does not cover .* \({early}\), or"):
        groups(path, Selection(fact=FIRST))


def test_a_search_names_its_run_and_must_be_of_the_run_named(path: Path) -> None:
    run = plant(path, NEURONS)
    other = plant(path, NEURONS, Model("other", "", "x", "masked_lm", 3, 100, "2"))
    own, others = search(path, run, FIRST), search(path, other, SECOND)
    assert (keys(path, own), keys(path, others)) == ([FIRST], [SECOND])
    assert evaluated(path, str(others)) == others
    with pytest.raises(NotFound) as error:
        groups(path, Selection(run=run, search=others))
    assert error.value.nearest == (str(own),)
    with pytest.raises(NotFound, match="no search"):
        groups(path, Selection(model="other", search=own))
    with pytest.raises(UsageError, match="2 searches begin with ''"):
        groups(path, Selection(search=""))


@pytest.mark.parametrize(
    "command",
    [
        ["graph", "groups"],
        ["evaluate", "degenerate"],
        pytest.param(["graph", "measures"], marks=pytest.mark.long),
        pytest.param(["graph", "export", "-o", "g.json"], marks=pytest.mark.long),
        pytest.param(["graph", "plot", "degenerate", "-o", "g.svg"], marks=pytest.mark.long),
    ],
)
def test_commands_take_a_search_and_refuse_one_that_is_not_there(
    path: Path,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(path.parent)
    known = search(path, plant(path, NEURONS), FIRST)
    assert main([*command, "--db", str(path), "--search", str(known)]) == 0
    capsys.readouterr()
    assert main([*command, "--db", str(path), "--search", "x1"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: There is no search 'x1' for degenerate neurons.")
    assert str(known) in err
