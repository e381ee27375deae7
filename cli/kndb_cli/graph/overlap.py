"""``kndb graph overlap``: the neurons that the languages of a fact share, against chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kndb_cli import options
from kndb_cli.options.graph import Langs, Share, Tau
from kndb_cli.output import choose, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer()


@app.command()
def overlap(
    langs: Langs = None,
    by: Annotated[
        Literal["fact", "relation", "language-pair"],
        typer.Option(metavar="BY", help="A row for each fact, relation or language-pair."),
    ] = "fact",
    fact: options.Fact = None,
    relation: options.RelationOption = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    tau: Tau = None,
    share: Share = None,
    store: Annotated[
        bool,
        typer.Option(
            "--store/--no-store",
            metavar="",
            help="Keep the rows in the table neuron_overlap.",
            rich_help_panel="Output",
        ),
    ] = True,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Show the neurons that carry a fact in several languages, and how many chance would give.

    kndb graph overlap --langs en,zh --relation capital
    kndb graph overlap --by language-pair
    kndb graph overlap --fact Benin --model demo-masked

    p is the chance that random neurons, as many in each language, share so many; q is p corrected
    for the number of rows (Benjamini-Hochberg).
    """
    # Here, because only this command needs it: saves NumPy and Arrow, 0.2 s, in its help.
    from kndb.graph.overlap.request import overlap as find_overlap

    target = choose(format, json, output, quiet)
    chosen = langs.split(",") if langs else None
    found = find_overlap(db, by, chosen, fact, relation, model, run, tau, share, store=store)
    emit(found, target, _layout)


def _layout(found: Rows) -> RenderableType:
    # Here, because only a table needs it: saves the import of Rich, 0.05 s, in every pipe.
    from kndb_cli.graph.overlap_table import overlap_table

    return overlap_table(found)
