"""``kndb graph plot``: draw pictures of stored neurons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kndb_cli import options
from kndb_cli.options.graph import Search, selection_of
from kndb_cli.output import file_format, named, opened
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
            help="The picture to write: .png, .svg or .pdf; - is standard output.",
            rich_help_panel="Output",
        ),
    ],
    format: Annotated[
        Literal["png", "svg", "pdf"] | None,
        typer.Option(
            metavar="FORMAT",
            help="png, svg or pdf. Default: by the suffix of -o.",
            rich_help_panel="Output",
        ),
    ] = None,
    colour: Annotated[
        Literal["languages", "facts", "relations"],
        typer.Option(
            "--colour",
            "--color",
            metavar="BY",
            help="What colours show in a neuron-map: the number of languages, facts or relations.",
            rich_help_panel="Output",
        ),
    ] = "languages",
    theme: Annotated[
        Literal["light", "dark"],
        typer.Option(metavar="THEME", help="light or dark.", rich_help_panel="Output"),
    ] = "light",
    fact: options.Facts = None,
    relation: options.Relations = None,
    langs: options.Langs = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    search: Search = None,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Draw knowledge neurons by layer, by language or as a map, or draw a degenerate group.

    kndb graph plot layers --model demo-causal -o layers.png
    kndb graph plot neuron-map --model demo-causal --colour relations --theme dark -o map.png
    kndb graph plot degenerate --model demo-causal --fact P36:Q739 -o group.svg
    """
    # Deferred: --help needs no library.
    from kndb.plotting.plot import ENDINGS, plot_into

    chosen = file_format(output, format, ENDINGS)
    selection = selection_of(fact, relation, langs, model, run, search)
    with opened(output, binary=chosen != "svg") as stream:
        plot_into(stream, db, picture, selection, chosen, colour=colour, theme=theme)
    note(f"Drew {picture} to {named(output)}.", quiet)
