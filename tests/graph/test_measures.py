"""Measures of planted neurons."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from kndb.graph.build import build_graph
from kndb.graph.measures import measures
from kndb.graph.selection import Selection
from planted_search import FACTS, add_search
from planted_store import plant


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


def test_measures_of_planted_neurons(path: Path) -> None:
    rows = {row["neuron"]: row for row in measures(path).to_dicts()}
    hub = rows["0:2"]
    assert next(iter(rows)) == "0:2"
    assert (hub["n_facts"], hub["n_relations"], hub["n_langs"], hub["score_sum"]) == (3, 2, 2, 5.0)
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
