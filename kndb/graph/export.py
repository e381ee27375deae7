"""Writes graphs to files for other programs: GraphML, GEXF, JSON and Parquet.

GraphML and GEXF can be opened in Gephi or read with ``networkx.read_graphml`` and ``read_gexf``.
JSON is networkx's node-link format (``networkx.node_link_graph(data, edges="edges")``). Parquet
has one row per edge, with the attributes of both ends, and one per node without edges. The module
builds no graphs.
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
    """Write ``graph`` to ``file`` and return the format used.

    Args:
        graph: a graph from ``kndb.graph.build``.
        file: the file to write.
        format: ``graphml``, ``gexf``, ``json`` or ``parquet``. Default: by the file's suffix.

    Raises:
        UsageError: there is no such format.
    """
    file = Path(file)
    chosen = graph_format(file, format)
    _WRITERS[chosen](graph, file)
    return chosen


def graph_format(file: Path, format: str | None = None) -> str:
    """The requested format, or the one given by the file's suffix.

    Raises:
        UsageError: there is no such format.
    """
    chosen = (format or file.suffix.removeprefix(".")).lower()
    if chosen not in _WRITERS:
        said = f"{format!r} is not" if format else f"The file name {file.name!r} does not end in"
        raise UsageError(f"{said} a graph format; use {', '.join(_WRITERS)}.")
    return chosen


def _write_graphml(graph: nx.Graph, file: Path) -> None:
    import networkx as nx  # Deferred: saves 0.2 s for commands that need no graph.

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
    import pyarrow as pa  # Deferred: saves 0.1 s for the other formats.
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
    """One column for every attribute that occurs; None where a row lacks it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "graphml": _write_graphml,
    "gexf": _write_gexf,
    "json": _write_json,
    "parquet": _write_parquet,
}
FORMATS = tuple(_WRITERS)
