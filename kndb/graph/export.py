"""Writes graphs to files that other programs open: GraphML, GEXF, JSON, Parquet.

GraphML and GEXF open in Gephi and with ``networkx.read_graphml`` and ``read_gexf``; JSON is
networkx's node-link form (``networkx.node_link_graph(data, edges="edges")``); Parquet has one row
for each edge with what is known of both ends, and one for each node without edges.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kndb.errors import UsageError

if TYPE_CHECKING:
    import networkx as nx


def write_graph(graph: nx.Graph, file: str | Path, format: str | None = None) -> str:
    """Write ``graph`` to ``file``; return the format.

    Args:
        graph: of ``kndb.graph.build``.
        file: the file to write.
        format: ``graphml``, ``gexf``, ``json`` or ``parquet``; without it, the suffix says.

    Raises:
        UsageError: there is no such format.
    """
    file = Path(file)
    chosen = graph_format(file, format)
    _WRITERS[chosen](graph, file)
    return chosen


def graph_format(file: Path, format: str | None = None) -> str:
    """The format asked for, or the one that the file's name ends in.

    Raises:
        UsageError: there is no such format.
    """
    chosen = (format or file.suffix.removeprefix(".")).lower()
    if chosen not in _WRITERS:
        said = f"{format!r} is no format" if format else f"The name {file.name!r} says no format"
        raise UsageError(f"{said} of graphs; use {', '.join(_WRITERS)}.")
    return chosen


def _write_graphml(graph: nx.Graph, file: Path) -> None:
    import networkx as nx  # Saves 0.2 s where no graph is asked for.

    nx.write_graphml(graph, file)


def _write_gexf(graph: nx.Graph, file: Path) -> None:
    import networkx as nx

    nx.write_gexf(graph, file)


def _write_json(graph: nx.Graph, file: Path) -> None:
    import networkx as nx

    data = nx.node_link_data(graph, edges="edges")
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_parquet(graph: nx.Graph, file: Path) -> None:
    import networkx as nx
    import pyarrow as pa  # Saves 0.1 s where another format is asked for.
    import pyarrow.parquet as pq

    lone = list(nx.isolates(graph))
    edges = list(graph.edges(data=True))
    ends = {
        "source": [a for a, _, _ in edges] + lone,
        "target": [b for _, b, _ in edges] + [None] * len(lone),
    }
    about_edges = pa.table(_columns([edge for _, _, edge in edges] + [{}] * len(lone)))
    table = pa.table(ends | dict(zip(about_edges.column_names, about_edges.columns, strict=True)))
    place = {node: at for at, node in enumerate(graph)}
    about_nodes = pa.table(_columns([data for _, data in graph.nodes(data=True)]))
    for end, nodes in ends.items():
        found = about_nodes.take(pa.array(map(place.get, nodes), pa.int64()))
        for name in found.column_names:
            table = table.append_column(f"{end}_{name}", found[name])
    pq.write_table(table, file, compression="zstd")


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The values of each attribute that some row has."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "graphml": _write_graphml,
    "gexf": _write_gexf,
    "json": _write_json,
    "parquet": _write_parquet,
}
FORMATS = tuple(_WRITERS)
