"""``kndb query``: the neurons that carry facts, and the facts that use a neuron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kndb.errors import UsageError
from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb_cli.output.rows import Rows

app = typer.Typer()


@app.command()
def query(
    fact: options.Facts = None,
    relation: options.Relations = None,
    answer: options.Answers = None,
    lang: options.Langs = None,
    neuron: options.Neurons = None,
    model: options.ModelNames = None,
    run: options.RunId = None,
    tau: options.Tau = None,
    share: options.Share = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="At most N neurons for each fact and language.",
            rich_help_panel="Which neurons",
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(
            "--words",
            metavar="",
            help="What each word of the prompts contributes, where `ingest --words` stored it.",
        ),
    ] = False,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """Show the neurons with which a model recalls facts.

    kndb query --fact Benin --lang en --top 5
    kndb query --fact "The capital of Benin is [MASK]."
    kndb query --answer Porto-Novo --lang en
    kndb query --neuron 2:641 --model demo-masked
    kndb query --fact P36:Q962 --fact P36:Q739 --lang en,es
    kndb query --relation capital --tau 0.3 --format csv -o capital.csv
    """
    target = choose(format, json, output, quiet, limit)
    asked: dict[str, Any] = {
        "fact": fact or None,
        "relation": relation or None,
        "lang": options.listed(lang) or None,
        "answer": answer or None,
        "model": options.listed(model) or None,
        "run": run,
    }
    of_neurons: dict[str, Any] = {
        "neuron": options.listed(neuron) or None,
        "tau": tau,
        "share": share,
        "top": top,
    }
    if words:
        refuse_together("--words", of_neurons)
    with opened(db) as database:
        if words:
            found = database.words(**asked)
        else:
            found = database.query(**asked, **of_neurons, limit=limit)
    emit(found, target, word_layout if words else layout)


def refuse_together(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that mean nothing beside another one.

    Raises:
        UsageError: one of them is given.
    """
    for name, value in others.items():
        if value is not None:
            raise UsageError(f"{option} shows words, and --{name} selects neurons; leave one out.")


def word_layout(found: Rows) -> RenderableType:
    """The table of words for a terminal."""
    from kndb_cli.output.word_table import word_table

    return word_table(found)


def layout(found: Rows) -> RenderableType:
    """The table of neurons for a terminal."""
    # Deferred: only tables need Rich, which takes 0.05 s.
    from kndb_cli.output.neuron_table import neuron_table

    return neuron_table(found)
