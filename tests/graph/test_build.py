"""Graphs of planted facts: every node and edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from kndb.errors import NotFound, UsageError
from kndb.graph.build import build_graph
from kndb.graph.selection import Selection
from planted_search import FACTS, PAIRS, add_search, edges
from planted_store import plant
from small_store import Model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


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
