"""``kndb graph export``: write a graph to a file for Gephi, networkx, Graphviz and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from kndb_cli import options
from kndb_cli.options.graph import Search, selection_of
from kndb_cli.output import file_format, named, opened
from kndb_cli.output.terminal import note

app = typer.Typer()


@app.command()
def export(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write, which appears once it is complete; - is standard output.",
            rich_help_panel="Output",
        ),
    ],
    format: Annotated[
        Literal["graphml", "gexf", "json", "parquet", "dot"] | None,
        typer.Option(
            metavar="FORMAT",
            help="graphml, gexf, json, parquet or dot. Default: by the suffix of -o.",
            rich_help_panel="Output",
        ),
    ] = None,
    nodes: Annotated[
        str,
        typer.Option(metavar="KINDS", help="Kinds of node: neuron, fact, relation, language."),
    ] = "neuron,fact,relation,language",
    fact: options.Facts = None,
    relation: options.Relations = None,
    langs: options.Langs = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    search: Search = None,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Write the graph of a fact, a relation or a run to a file.

    kndb graph export --model demo-masked --fact Benin -o benin.gexf
    kndb graph export --model demo-masked --relation capital --nodes neuron,fact -o capital.graphml
    kndb graph export --model demo-causal --nodes neuron,relation,language -o run.json
    kndb graph export --model demo-masked --fact Benin -o benin.dot
    """
    # Deferred: --help needs no library.
    from kndb.graph.build import NodeKind, build_graph
    from kndb.graph.export import ENDINGS, write_graph_into

    chosen = file_format(output, format, ENDINGS)
    kinds = [cast(NodeKind, kind) for kind in options.listed(nodes)]
    selection = selection_of(fact, relation, langs, model, run, search)
    graph = build_graph(db, selection, kinds)
    with opened(output, binary=chosen == "parquet") as stream:
        write_graph_into(stream, graph, chosen)
    n_edges = graph.number_of_edges()
    note(f"Wrote {len(graph)} nodes and {n_edges} edges to {named(output)}.", quiet)
