"""``kndb neurons``: which neurons carry the most facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer()


@app.command()
def neurons(
    layer: options.Layers = None,
    fact: options.Facts = None,
    relation: options.Relations = None,
    answer: options.Answers = None,
    lang: options.Langs = None,
    model: options.ModelNames = None,
    run: options.RunId = None,
    tau: options.Tau = None,
    share: options.Share = None,
    directions: Annotated[
        bool,
        typer.Option(
            "--directions",
            metavar="",
            help="With the tokens that they push up and down most, where `ingest --directions` "
            "stored them.",
        ),
    ] = False,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """List knowledge neurons, those of the most facts first.

    kndb neurons --layer 2 --model demo-masked --limit 10
    kndb neurons --relation capital --lang en,zh
    """
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.neurons(
            layer=layer or None,
            fact=fact or None,
            relation=relation or None,
            answer=answer or None,
            lang=options.listed(lang) or None,
            model=options.listed(model) or None,
            run=run,
            limit=limit,
            directions=directions,
            tau=tau,
            share=share,
        )
    emit(found, target, _layout)


def _layout(found: Rows) -> RenderableType:
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.run_tables import run_tables

    return run_tables(found, {"n_facts": "facts", "n_relations": "relations", "n_langs": "langs"})
