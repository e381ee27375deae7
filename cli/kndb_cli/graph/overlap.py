"""``kndb graph overlap``: the neurons that the languages of a fact share, compared with chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kndb_cli import options
from kndb_cli.output import choose, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer()


@app.command()
def overlap(
    langs: options.Langs = None,
    by: Annotated[
        Literal["fact", "relation", "language-pair"],
        typer.Option(metavar="BY", help="One row per fact, relation or language-pair."),
    ] = "fact",
    fact: options.Facts = None,
    relation: options.Relations = None,
    model: options.ModelNames = None,
    run: options.RunId = None,
    tau: options.Tau = None,
    share: options.Share = None,
    store: Annotated[
        bool,
        typer.Option(
            "--store",
            metavar="",
            help="Also save the rows in the table neuron_overlap.",
            rich_help_panel="Output",
        ),
    ] = False,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """Show the neurons that a fact uses in several languages, and how many are expected by chance.

    kndb graph overlap --langs en,zh --relation capital
    kndb graph overlap --by language-pair
    kndb graph overlap --fact Benin --model demo-masked

    p is the probability that the same numbers of random neurons share at least this many; q is p
    corrected for the number of rows (Benjamini-Hochberg).
    """
    # Deferred: NumPy and Arrow take 0.2 s, and --help does not need them.
    from kndb.graph.overlap import overlap as find_overlap

    target = choose(format, json, output, quiet, limit)
    found = find_overlap(
        db,
        by,
        options.listed(langs),
        fact or None,
        relation or None,
        options.listed(model) or None,
        run,
        tau,
        share,
        store=store,
    )
    emit(found, target, _layout)


def _layout(found: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.graph.overlap_table import overlap_table

    return overlap_table(found)
