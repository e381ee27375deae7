"""A written graph is the graph."""

from __future__ import annotations

import io
import json
from pathlib import Path

import networkx as nx
import pyarrow.parquet as pq
import pytest

from kndb.errors import UsageError
from kndb.graph.build import build_graph
from kndb.graph.export import write_graph, write_graph_into
from planted_search import FACTS, add_search, edges
from planted_store import plant


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


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


def test_dot_quotes_what_it_must() -> None:
    graph = nx.Graph()
    graph.add_node('a "b"', label="back\\slash")
    graph.add_edge('a "b"', "ж", weight=0.5)
    stream = io.BytesIO()
    write_graph_into(stream, graph, "dot")
    assert stream.getvalue().decode().splitlines() == [
        "graph kndb {",
        r'  "a \"b\"" ["label"="back\\slash"];',
        '  "ж" [];',
        r'  "a \"b\"" -- "ж" ["weight"="0.5"];',
        "}",
    ]
