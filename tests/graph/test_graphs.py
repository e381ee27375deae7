"""Graphs of planted facts and groups: building, grouping, measuring, writing, drawing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import pyarrow.parquet as pq
import pytest

from kndb.errors import NotFound, UsageError
from kndb.graph.build import build_graph
from kndb.graph.export import write_graph
from kndb.graph.groups import groups
from kndb.graph.measures import measures
from kndb.graph.selection import Selection
from kndb.plotting.fonts import can_draw, drawable, language_label
from kndb.plotting.group import _layout
from kndb.plotting.plot import PICTURES, plot
from kndb.store.database import connect
from planted_store import plant
from small_store import Model

FACTS = {
    "P36:Q1": {"en": [(0, 1), (0, 2), (2, 9)], "zh": [(0, 2), (1, 5)]},
    "P36:Q2": {"en": [(0, 1), (0, 2), (1, 5)]},
    "P38:Q3": {"en": [(0, 2)], "zh": [(0, 2), (2, 8)]},
}
TRIANGLE = [((0, 1), (0, 2)), ((0, 2), (2, 9)), ((0, 1), (2, 9))]
PAIRS = {
    ("P36:Q1", "en"): TRIANGLE,
    ("P36:Q2", "en"): [((0, 1), (1, 5))],
    ("P38:Q3", "zh"): [((0, 2), (2, 8))],
}


def add_search(path: Path, run_id: int, planted: Mapping[tuple[str, str], Any] = PAIRS) -> None:
    """Store a finished search with these pairs, one control pair and one set of three."""
    with connect(path, write=True) as connection:
        connection.execute(
            "INSERT INTO degenerate_search VALUES (1, ?, '{}', 'finished', now(), now(), '0')",
            [run_id],
        )
        ids = dict(connection.execute("SELECT fact_key, fact_id FROM fact").fetchall())
        found = [
            (ids[key], lang, "degenerate", pair)
            for (key, lang), pairs in planted.items()
            for pair in pairs
        ]
        found.append((ids["P36:Q2"], "en", "control", ((0, 50), (0, 51))))
        found.append((ids["P36:Q2"], "en", "degenerate", ((0, 60), (0, 61), (0, 62))))
        for key, langs in FACTS.items():
            for lang, neurons in langs.items():
                connection.execute(
                    "INSERT INTO degenerate_fact VALUES (1, ?, ?, ?, 0, 0, 0, 0, 'done', NULL)",
                    [ids[key], lang, len(neurons)],
                )
        for set_id, (fact_id, lang, kind, members) in enumerate(found):
            connection.execute(
                "INSERT INTO degenerate_set VALUES (?, 1, ?, ?, ?, ?, ?, ?, 0.1, true, 0.9, 0.5)",
                [run_id, fact_id, lang, set_id, kind, len(members), 0.3 + set_id / 100],
            )
            for layer, neuron in members:
                connection.execute(
                    "INSERT INTO degenerate_member VALUES (1, ?, ?, ?)", [set_id, layer, neuron]
                )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


def edges(graph: nx.Graph, kind: str) -> dict[tuple[str, str], float]:
    return {
        (min(a, b), max(a, b)): data["weight"]
        for a, b, data in graph.edges(data=True)
        if data["kind"] == kind
    }


def test_the_graph_of_a_run_has_every_node_and_edge(path: Path) -> None:
    graph = build_graph(path)
    assert {node for node, kind in graph.nodes(data="kind") if kind != "neuron"} == {
        *("fact P36:Q1", "fact P36:Q2", "fact P38:Q3"),
        *("relation P36", "relation P38", "language en", "language zh"),
    }
    assert len(edges(graph, "recalls")) == 4 + 3 + 2
    assert len(edges(graph, "of")) == 3
    assert edges(graph, "used in")["language en", "neuron 0:2"] == 3
    assert set(edges(graph, "degenerate")) == {
        (f"neuron {a[0]}:{a[1]}", f"neuron {b[0]}:{b[1]}")
        for pair in PAIRS.values()
        for a, b in pair
    }
    assert graph.edges["fact P36:Q1", "neuron 0:2"]["langs"] == "en,zh"
    assert graph.nodes["neuron 2:9"] == {"kind": "neuron", "label": "2:9", "layer": 2, "index": 9}


def test_a_graph_can_be_of_one_fact_relation_language_or_kind(path: Path) -> None:
    fact = build_graph(path, Selection(fact="P38:Q3", langs=["EN"]))
    assert set(fact) == {"neuron 0:2", "fact P38:Q3", "relation P38", "language en"}
    relation = build_graph(path, Selection(relation="capital"), ["neuron", "relation"])
    assert edges(relation, "serves")["neuron 0:2", "relation P36"] == 2
    with pytest.raises(UsageError, match="no kind of node 'planet'"):
        build_graph(path, kinds=["planet"])  # type: ignore[list-item]
    with pytest.raises(NotFound, match="no neurons in language 'xx'") as error:
        build_graph(path, Selection(langs=["zh", "xx"]))
    assert error.value.nearest == ("en", "zh")
    with pytest.raises(NotFound, match="no knowledge neurons"):
        build_graph(path, Selection(fact="P36:Q2", langs=["zh"]))


def test_one_of_several_runs_must_be_named(path: Path, tmp_path: Path) -> None:
    several = tmp_path / "k.duckdb"
    several.write_bytes(path.read_bytes())
    other = plant(several, FACTS, Model("other", "", "x", "masked_lm", 3, 100, "2"))
    with pytest.raises(UsageError, match=rf"2 runs match.* other \(run {other}\)"):
        build_graph(several)
    assert build_graph(several, Selection(model="other")).graph["run_id"] == str(other)


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
    begun = "INSERT INTO degenerate_search SELECT 2, run_id, '{}', 'running', now(), NULL, '0' "
    with connect(path, write=True) as connection:
        connection.execute(begun + "FROM degenerate_search")
    assert groups(path).rows() == found != []


def test_measures_of_planted_neurons(path: Path) -> None:
    rows = {row["neuron"]: row for row in measures(path).to_dicts()}
    hub = rows["0:2"]
    assert next(iter(rows)) == "0:2"
    assert (hub["n_facts"], hub["n_relations"], hub["n_langs"], hub["score"]) == (3, 2, 2, 5.0)
    assert hub["n_degenerate"] == 3
    assert hub["bridges_langs"] == pytest.approx(1 - (3 / 5) ** 2 - (2 / 5) ** 2)
    assert rows["2:8"]["bridges_relations"] == 0
    exact = nx.betweenness_centrality(build_graph(path, kinds=["neuron", "fact"]))
    assert hub["betweenness"] == pytest.approx(exact["neuron 0:2"])
    assert {row["community"] for row in rows.values()} <= {1, 2, 3}
    assert len(measures(path, top=2)) == 2


def test_large_runs_are_summed_up_and_single_relations_are_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kndb.graph.measures._MANY_EDGES", 2)
    summed_up = nx.betweenness_centrality(build_graph(path, kinds=["neuron", "relation"]))
    rows = {row["neuron"]: row for row in measures(path).to_dicts()}
    assert rows["0:2"]["betweenness"] == pytest.approx(summed_up["neuron 0:2"])
    capital = Selection(relation="P36")
    whole = nx.betweenness_centrality(build_graph(path, capital, ["neuron", "fact"]))
    rows = {row["neuron"]: row for row in measures(path, capital).to_dicts()}
    assert rows["1:5"]["betweenness"] == pytest.approx(whole["neuron 1:5"])
    # Enough edges that betweenness can afford only one source node.
    monkeypatch.setattr("kndb.graph.measures._CROSSED", 1)
    one = nx.betweenness_centrality(build_graph(path, capital, ["neuron", "fact"]), k=1, seed=0)
    rows = {row["neuron"]: row for row in measures(path, capital).to_dicts()}
    assert rows["1:5"]["betweenness"] == pytest.approx(one["neuron 1:5"])


@pytest.mark.parametrize("format", ["graphml", "gexf", "json"])
def test_a_written_graph_is_the_same_when_read(tmp_path: Path, path: Path, format: str) -> None:
    graph = build_graph(path)
    file = tmp_path / f"g.{format}"
    write_graph(graph, file)
    readers = {"graphml": nx.read_graphml, "gexf": nx.read_gexf}
    read = (
        nx.node_link_graph(json.loads(file.read_text(encoding="utf-8")), edges="edges")
        if format == "json"
        else readers[format](file)
    )
    assert set(read.nodes) == set(graph.nodes)
    assert edges(read, "recalls") == edges(graph, "recalls")
    assert read.nodes["fact P36:Q1"]["subject"] == "P36:Q1"
    assert read.nodes["neuron 2:9"]["layer"] == 2


def test_parquet_has_a_row_for_each_edge_and_lone_node(tmp_path: Path, path: Path) -> None:
    graph = build_graph(path, kinds=["neuron"])
    write_graph(graph, tmp_path / "g.parquet")
    rows = pq.read_table(tmp_path / "g.parquet").to_pylist()
    lone = [row["source"] for row in rows if row["target"] is None]
    assert len(rows) - len(lone) == graph.number_of_edges() == 5
    assert lone == list(nx.isolates(graph))
    with pytest.raises(UsageError, match="does not say a format"):
        write_graph(graph, tmp_path / "g.xyz")


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("format", ["png", "svg"])
def test_pictures_are_drawn_and_do_not_change(
    tmp_path: Path, path: Path, picture: str, format: str
) -> None:
    begins = {"png": b"\x89PNG", "svg": b"<?xml"}[format]
    for name in ("a", "b"):
        plot(path, picture, tmp_path / f"{name}.{format}")  # type: ignore[arg-type]
    first, second = ((tmp_path / f"{name}.{format}").read_bytes() for name in ("a", "b"))
    assert first.startswith(begins)
    assert first == second


def test_labels_without_a_font_are_replaced() -> None:
    assert can_draw("русский español")
    assert not can_draw("\U0010fffd")
    assert drawable("\U0010fffd", "P36:Q1") == "P36:Q1"
    assert language_label("ru") == "ru русский"
    assert language_label("zh") == ("zh 中文" if can_draw("中文") else "zh Chinese")
    assert (language_label("ar"), language_label("tlh")) == ("ar Arabic", "tlh")


@pytest.mark.parametrize("picture", ["layers", "neuron-map", "degenerate"])
def test_names_without_a_font_are_not_drawn(path: Path, tmp_path: Path, picture: str) -> None:
    """matplotlib warns about a missing glyph, and warnings fail the test."""
    strange = tmp_path / "k.duckdb"
    strange.write_bytes(path.read_bytes())
    with connect(strange, write=True) as connection:
        connection.execute("UPDATE prompt SET subject = chr(1114109), answer = chr(1114109)")
        connection.execute("UPDATE relation SET label = chr(1114109)")
    fact = Selection(fact="P36:Q1", langs=["en"])
    plot(strange, picture, tmp_path / "a.png", fact)  # type: ignore[arg-type]
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_layout_keeps_partners_near_and_others_apart() -> None:
    star = nx.star_graph(4)
    place = _layout(star)
    arms = [math.dist(place[0], place[leaf]) for leaf in range(1, 5)]
    assert max(arms) < 1.3
    assert min(arms) > 0.7
    assert min(math.dist(place[a], place[b]) for a in range(1, 5) for b in range(1, a)) > 1.1
    (a, b) = _layout(nx.path_graph(2)).values()
    assert math.dist(a, b) == pytest.approx(1)


def test_a_group_too_large_for_a_picture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    ring = [((0, n), (0, (n + 1) % 61)) for n in range(61)]
    add_search(path, plant(path, FACTS), {("P36:Q1", "en"): ring})
    with pytest.raises(NotFound, match="more than 60 neurons, too many for a picture"):
        plot(path, "degenerate", tmp_path / "a.png")
    assert groups(path).to_dicts()[0]["size"] == 61


def test_one_language_has_no_matrix(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="only one language, en"):
        plot(path, "languages", tmp_path / "a.png", Selection(langs=["en"]))


def test_a_group_is_drawn_without_scipy(path: Path, tmp_path: Path) -> None:
    """SciPy is not a dependency of kndb, although networkx's layouts need it."""
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "from kndb_cli.main import main\n"
        f"sys.exit(main(['graph', 'plot', 'degenerate', '--db', {str(path)!r}, '-o', 'a.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"Drew degenerate to a.png.\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_sentence_says_what_to_install(path: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "from kndb_cli.main import main\n"
        f"sys.exit(main(['graph', 'plot', 'layers', '--db', {str(path)!r}, '-o', 'a.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert done.returncode == 2
    assert b"pip install kndb[plot]" in done.stderr
    assert not (tmp_path / "a.png").exists()
