"""Writes graphs to files for other programs: GraphML, GEXF, JSON, Parquet and DOT.

GraphML and GEXF can be opened in Gephi or read with ``networkx.read_graphml`` and ``read_gexf``.
JSON is networkx's node-link format (``networkx.node_link_graph(data, edges="edges")``). Parquet
has one row per edge, with the attributes of both ends, and one per node without edges. DOT is for
Graphviz. The module builds no graphs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kndb.files import chosen_format, whole_file

if TYPE_CHECKING:
    import networkx as nx


ENDINGS = {f".{name}": name for name in ("graphml", "gexf", "json", "parquet", "dot")} | {
    ".gv": "dot"
}
"""Format by file suffix."""


def write_graph(graph: nx.Graph, file: str | Path, format: str | None = None) -> str:
    """Write ``graph`` to ``file`` and return the format used.

    Args:
        graph: a graph from ``kndb.graph.build``.
        file: the file to write; see ``kndb.files.whole_file``.
        format: ``graphml``, ``gexf``, ``json``, ``parquet`` or ``dot``. Default: by the suffix.

    Raises:
        UsageError: there is no such format.
        KndbError: the file cannot be written.
    """
    chosen = chosen_format(Path(file), format, ENDINGS)
    with whole_file(file) as stream:
        write_graph_into(stream, graph, chosen)
    return chosen


def write_graph_into(stream: BinaryIO, graph: nx.Graph, format: str) -> None:
    """Like ``write_graph``, but to an open stream, such as standard output."""
    _WRITERS[format](graph, stream)


def _write_graphml(graph: nx.Graph, stream: BinaryIO) -> None:
    import networkx as nx  # Deferred: saves 0.2 s for commands that need no graph.

    nx.write_graphml(graph, stream)


def _write_gexf(graph: nx.Graph, stream: BinaryIO) -> None:
    import networkx as nx

    nx.write_gexf(graph, stream)


def _write_json(graph: nx.Graph, stream: BinaryIO) -> None:
    import networkx as nx

    data = nx.node_link_data(graph, edges="edges")
    stream.write((json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode())


def _write_parquet(graph: nx.Graph, stream: BinaryIO) -> None:
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
    pq.write_table(table, stream, compression="zstd")


def _write_dot(graph: nx.Graph, stream: BinaryIO) -> None:
    lines = ["graph kndb {"]
    for node, about in graph.nodes(data=True):
        lines.append(f"  {_quoted(node)} [{_attributes(about)}];")
    for a, b, about in graph.edges(data=True):
        lines.append(f"  {_quoted(a)} -- {_quoted(b)} [{_attributes(about)}];")
    stream.write("\n".join([*lines, "}", ""]).encode())


def _attributes(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{_quoted(name)}={_quoted(value)}" for name, value in about.items())


def _quoted(value: Any) -> str:
    """A text as DOT writes it: Graphviz takes a backslash as the start of an escape.

    >>> _quoted('say "Porto-Novo"')
    '"say \\\\"Porto-Novo\\\\""'
    """
    text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{text}"'


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """One column for every attribute that occurs; None where a row lacks it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


_WRITERS: dict[str, Callable[[Any, BinaryIO], None]] = {
    "graphml": _write_graphml,
    "gexf": _write_gexf,
    "json": _write_json,
    "parquet": _write_parquet,
    "dot": _write_dot,
}
