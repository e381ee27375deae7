"""``kndb graph plot``: draw pictures of stored neurons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kndb_cli import options
from kndb_cli.options.graph import Langs, Search, chosen_langs
from kndb_cli.output import complete_file
from kndb_cli.output.terminal import note

app = typer.Typer()


@app.command()
def plot(
    picture: Annotated[
        Literal["layers", "languages", "degenerate", "neuron-map"],
        typer.Argument(metavar="PICTURE", help="layers, languages, degenerate or neuron-map."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture to write: .png, .svg or .pdf.",
            rich_help_panel="Output",
        ),
    ],
    fact: options.Fact = None,
    relation: options.RelationOption = None,
    langs: Langs = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    search: Search = None,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Draw knowledge neurons by layer, by language or as a map, or draw a degenerate group.

    kndb graph plot layers --model demo-causal -o layers.png
    kndb graph plot degenerate --model demo-causal --fact P36:Q739 -o group.svg
    """
    # Deferred: --help needs no library.
    from kndb.graph.selection import Selection
    from kndb.plotting.plot import picture_format
    from kndb.plotting.plot import plot as draw

    form = picture_format(output)
    selection = Selection(fact, relation, chosen_langs(langs), model, run, search)
    with complete_file(output) as part:
        draw(db, picture, part, selection, form)
    note(f"Drew {picture} to {output}.", quiet)
