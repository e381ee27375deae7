"""``kndb import``: knowledge neurons that others published, as a run of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from kndb_cli import options
from kndb_cli.output.terminal import note

app = typer.Typer()


@app.command(name="import")
def import_(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Lists of neurons: JSON files, or folders of them; zh=PATH says a language.",
        ),
    ],
    facts: Annotated[
        str,
        typer.Option(metavar="DATASET", help="The fact set they are about: a ParaRel folder, …"),
    ],
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="The model they were found in, by name.")
    ],
    layers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Layers of the model, where kndb does not know its name."
        ),
    ] = None,
    neurons: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Neurons of each layer, where kndb does not know the model's name.",
        ),
    ] = None,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Take in knowledge neurons that others published; no model is needed.

    kndb import neurons/ --facts pararel --model bert-base-uncased
    kndb import en=results/en zh=results/zh --facts amig.json --model bert-base-multilingual-cased

    It reads the JSON of EleutherAI/knowledge-neurons and the results of the AMIG code. The facts
    are known by the uuids in both. The neurons have no scores.
    """
    # Here, because a command's help needs no library.
    from kndb_ingest.published.importer import import_published

    done = import_published(db, paths, facts, model, n_layers=layers, n_neurons=neurons)
    if done.inferred:
        size = f"{done.model.n_layers} layers of {done.model.n_neurons} neurons"
        note(
            f"The size of {model} is not known; {size} hold the neurons "
            f"(--{' and --'.join(done.inferred)} say otherwise).",
            quiet,
        )
    if done.without_fact:
        note(f"{done.without_fact} lists of neurons belong to no fact and were left out.", quiet)
    told = "Imported" if done.is_new else "Nothing to do: the database already has"
    langs = ", ".join(done.langs)
    note(
        f"{told} {done.neurons} neurons of {done.facts} facts ({langs}) as run {done.run_id}.",
        quiet,
    )
