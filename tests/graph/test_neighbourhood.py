"""The graph around one thing: what is in it, and that it stays small."""

from __future__ import annotations

from pathlib import Path

import pytest

from kndb.errors import NotFound
from kndb.graph import neighbourhood
from kndb.graph.neighbourhood import around_fact, around_neuron, around_relation
from kndb.neurons import Neuron
from small_store import finished_run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    path = tmp_path_factory.mktemp("neighbourhood") / "k.duckdb"
    return path, finished_run(path)


def test_a_fact_has_its_neurons_and_their_languages(small: tuple[Path, int]) -> None:
    graph = around_fact(small[0], "P36:Q142", small[1])
    assert set(graph) == {
        "relation P36",
        "fact P36:Q142",
        *("neuron 0:1", "neuron 0:7", "neuron 1:3"),
        *("language en", "language zh"),
    }
    assert set(graph["neuron 0:1"]) == {"fact P36:Q142", "language en", "language zh"}
    assert graph.graph["left_out"] == 0


def test_a_relation_is_joined_to_the_neurons_of_its_facts(small: tuple[Path, int]) -> None:
    graph = around_relation(small[0], "P36", small[1])
    assert graph.edges["relation P36", "neuron 0:2"]["weight"] == 3
    assert not [node for node, kind in graph.nodes(data="kind") if kind == "fact"]


def test_a_neuron_has_its_facts_and_the_neurons_of_these(small: tuple[Path, int]) -> None:
    graph = around_neuron(small[0], Neuron(0, 7), ["P36:Q142"], small[1])
    assert {"neuron 0:7", "neuron 0:1", "fact P36:Q142"} <= set(graph)
    assert "neuron 0:2" not in graph


def test_the_weakest_neurons_are_left_out(
    small: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbourhood, "MOST_NEURONS", 1)
    graph = around_fact(small[0], "P36:Q142", small[1])
    neurons = [node for node, kind in graph.nodes(data="kind") if kind == "neuron"]
    assert neurons == ["neuron 0:7"]  # 1.0 in Chinese; 0:1 has a mean of 0.75 and 0.5
    assert graph.graph["left_out"] == 2
    assert "language en" not in graph
    asked = around_neuron(small[0], Neuron(1, 3), ["P36:Q142"], small[1])
    assert "neuron 1:3" in asked


def test_what_is_not_there_is_not_drawn(small: tuple[Path, int]) -> None:
    with pytest.raises(NotFound):
        around_fact(small[0], "P36:Q1", small[1])
