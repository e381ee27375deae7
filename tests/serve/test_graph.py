"""Graphs as drawings, tables and GraphML; the scripts that improve them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
from starlette.testclient import TestClient

import kndb_serve

Get = Callable[[str, str], list[dict[str, Any]]]

PLACE = "/graph{}?fact=P36:Q142"


def test_the_drawing_has_every_node_and_edge(client: TestClient, rows: Get) -> None:
    page = client.get(PLACE.format("")).text
    nodes = re.findall(r'data-node="([^"]+)"', page)
    assert sorted(nodes) == sorted(row["node"] for row in rows(PLACE.format(".json"), "nodes"))
    edges = rows(PLACE.format(".json"), "edges")
    assert page.count('class="edge ') == len(edges) == 3 + 1 + 4
    assert 'href="/neuron/0%3A7"' in page
    assert 'class="node fact focus"' in page


def test_it_is_graphml_too(client: TestClient, rows: Get) -> None:
    answer = client.get(PLACE.format(".graphml"))
    assert answer.headers["content-type"] == "application/graphml+xml"
    graph = nx.read_graphml(io.BytesIO(answer.content))
    assert {row["node"] for row in rows(PLACE.format(".json"), "nodes")} == set(graph)
    assert graph.nodes["fact P36:Q142"]["subject"] == "France"


def test_a_page_without_a_graph_is_no_graphml(client: TestClient) -> None:
    answer = client.get("/facts.graphml")
    assert (answer.status_code, "has no graph" in answer.text) == (404, True)


def test_words_that_mean_several_facts_are_refused(client: TestClient) -> None:
    answer = client.get("/graph.json?fact=France")
    assert answer.status_code == 404
    assert answer.json()["nearest"] == ["fact P36:Q142", "fact P38:Q142"]


def test_scripts_of_others_lie_beside_their_licences(client: TestClient) -> None:
    page = client.get(PLACE.format("")).text
    (script,) = re.findall(r'src="(/static/vendor/[^"]+)"', page)
    text = client.get(script).text
    folder = Path(kndb_serve.__file__).parent / "static" / "vendor"
    licences = (folder / "d3.LICENSES.txt").read_text()
    packages = re.findall(r"// https://d3js.org/([a-z0-9-]+)/ v([\d.]+)", text)
    assert len(packages) == 9
    for name, version in packages:
        assert f"{name}@{version}" in licences
