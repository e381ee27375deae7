"""``kndb facts``: what the database knows facts about."""

from __future__ import annotations

from typing import Annotated

import typer

from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit

app = typer.Typer()


@app.command()
def facts(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]", help="Words of the subject or the answer, a key or a prompt."
        ),
    ] = None,
    relation: options.Relations = None,
    lang: options.Langs = None,
    answer: options.Answers = None,
    layer: options.Layers = None,
    model: options.ModelNames = None,
    run: options.RunId = None,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """List facts in each of their languages, exact matches first.

    kndb facts Benin
    kndb facts Guinea --lang en
    kndb facts --relation capital --layer 2 --model demo-masked

    With --layer, --model or --run: those with knowledge neurons there.
    """
    target = choose(format, json, output, quiet, limit)
    with opened(db) as database:
        found = database.facts(
            words=" ".join(words) if words else None,
            relation=relation or None,
            lang=options.listed(lang) or None,
            answer=answer or None,
            layer=layer or None,
            model=options.listed(model) or None,
            run=run,
            limit=limit,
        )
    emit(found, target)
