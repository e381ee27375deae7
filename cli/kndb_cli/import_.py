"""``kndb import``: store published knowledge neurons as a run."""

from __future__ import annotations

from typing import Annotated

import typer

from kndb_cli import completion, options
from kndb_cli.output.terminal import note

app = typer.Typer()


@app.command(name="import")
def import_(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Lists of neurons: JSON files, or folders of them; zh=PATH sets the language.",
        ),
    ],
    facts: Annotated[
        str,
        typer.Option(
            metavar="DATASET", help="The fact set of the lists, such as a ParaRel folder."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Name of the model the neurons belong to.",
            autocompletion=completion.models,
        ),
    ],
    layers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Number of layers, if kndb does not know the model."),
    ] = None,
    neurons: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of neurons per layer, if kndb does not know the model.",
        ),
    ] = None,
    db: options.Database = options.DATABASE,
    quiet: options.Quiet = False,
) -> None:
    """Import published knowledge neurons; the model itself is not needed.

    kndb import neurons/ --facts pararel --model bert-base-uncased
    kndb import en=results/en zh=results/zh --facts amig.json --model bert-base-multilingual-cased

    This reads the JSON of EleutherAI/knowledge-neurons and the results of the AMIG code. Facts are
    matched by uuid. Imported neurons have no scores.
    """
    # Deferred: --help needs no library.
    from kndb_ingest.published.importer import import_published

    done = import_published(db, paths, facts, model, n_layers=layers, n_neurons=neurons)
    if done.inferred:
        size = f"{done.model.n_layers} layers of {done.model.n_neurons} neurons"
        note(
            f"kndb does not know the size of {model} and assumes {size} "
            f"(change it with --{' and --'.join(done.inferred)}).",
            quiet,
        )
    if done.without_fact:
        note(f"Left out {done.without_fact} lists of neurons that match no fact.", quiet)
    told = "Imported" if done.is_new else "Nothing to do: the database already has"
    langs = ", ".join(done.langs)
    note(
        f"{told} {done.neurons} neurons of {done.facts} facts ({langs}) as run {done.run_id}.",
        quiet,
    )
