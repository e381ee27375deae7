"""``kndb graph groups`` and ``kndb graph measures``: the structure of a run's graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kndb_cli import options
from kndb_cli.options.graph import Search, selection_of
from kndb_cli.output import choose, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer()


@app.command()
def groups(
    by: Annotated[
        Literal["fact", "relation", "all"],
        typer.Option(
            metavar="BY",
            help="Pool pairs by fact, by relation, or all together: fact, relation, all.",
        ),
    ] = "fact",
    fact: options.Facts = None,
    relation: options.Relations = None,
    langs: options.Langs = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    search: Search = None,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """Show degenerate groups: neurons joined by degenerate pairs.

    kndb graph groups --model demo-causal --by relation
    kndb graph groups --model demo-causal --fact P36:Q739

    Find the pairs with 'kndb graph degenerate' first. They come from the run's newest finished
    search, or from --search.
    """
    # Deferred: --help needs no library.
    from kndb.graph.groups import groups as find_groups

    target = choose(format, json, output, quiet, limit)
    selection = selection_of(fact, relation, langs, model, run, search)
    found = find_groups(db, selection, by)
    emit(found, target, _layout)


@app.command()
def measures(
    fact: options.Facts = None,
    relation: options.Relations = None,
    langs: options.Langs = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    search: Search = None,
    top: Annotated[
        int | None,
        typer.Option(metavar="N", help="At most N neurons, those with the most facts first."),
    ] = None,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """Show how neurons are connected: degree, bridging, betweenness, communities.

    kndb graph measures --model demo-masked --relation capital --top 10

    score_sum adds a neuron's scores over facts and languages; 'kndb neurons' has their mean.
    bridges_relations and bridges_langs are 0 for a neuron used in one relation or language, and
    close to 1 for one used equally in many.
    """
    # Deferred: --help needs no library.
    from kndb.graph.measures import measures as measure

    target = choose(format, json, output, quiet, limit)
    selection = selection_of(fact, relation, langs, model, run, search)
    found = measure(db, selection, top)
    emit(found, target, _layout)


def _layout(found: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.graph.tables import run_table

    return run_table(found)
