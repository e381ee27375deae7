"""``kndb evaluate localisation`` and ``faithfulness``: what suppressing neurons does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kndb_cli import options
from kndb_cli.evaluate_tables import show
from kndb_cli.graph_options import chosen_langs
from kndb_cli.model_options import Device, Dtype, Memory, Model, Revision, mebibytes, quiet_loading
from kndb_cli.output import Output, choose
from kndb_cli.progress import reporting
from kndb_cli.terminal import note

if TYPE_CHECKING:
    from kndb_ingest.evaluation.table import Table

Run = Annotated[
    str | None,
    typer.Option(
        metavar="RUN",
        help="A run's id, or its first digits. Unless said: the model's newest finished run.",
    ),
]
Langs = Annotated[str | None, typer.Option(metavar="LANGS", help="Only these languages: en,zh.")]
Replicates = Annotated[int, typer.Option(metavar="N", min=100, help="Bootstrap draws of facts.")]
Seed = Annotated[
    int,
    typer.Option(metavar="N", help="Seed of the facts drawn, random neurons and the bootstrap."),
]

_FOR_PEOPLE = {
    "localisation": (
        "effect",
        "method",
        "n_neurons",
        "related_relative",
        "unrelated_relative",
        "success",
        "wrong_sign",
        "specificity",
    ),
    "faithfulness": ("method", "n_prompts", "spearman", "overlap_20", "removed_20"),
}
"""The columns that a drawn table has; the other forms have all."""


def localisation(
    model: Model,
    run: Run = None,
    facts: Annotated[
        int, typer.Option(metavar="N", min=1, help="Facts drawn, each in all its languages.")
    ] = 24,
    langs: Langs = None,
    unrelated: Annotated[
        int, typer.Option(metavar="N", min=1, help="Unrelated facts asked beside each.")
    ] = 6,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    db: options.Database = options.DATABASE,
    device: Device = "auto",
    dtype: Dtype = "float32",
    revision: Revision = None,
    memory: Memory = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Suppress and enhance the neurons of a fact: what becomes of it, and of unrelated facts.

    kndb evaluate localisation --model demo-masked
    kndb evaluate localisation --model demo-masked --langs en --json

    Each method has as many neurons as the fact has knowledge neurons.

    A drawn table is about all facts together; CSV, JSON and Parquet have
    each relation and language too, and all measures.
    """
    target = choose(format, json, output, quiet)
    quiet_loading(model, quiet)
    # Here, because it takes torch: saves seconds in the help.
    from kndb_ingest.evaluation import localisation as evaluation

    request = evaluation.LocalisationRequest(
        database=db,
        model=model,
        run=run,
        facts=facts,
        langs=chosen_langs(langs),
        unrelated=unrelated,
        replicates=replicates,
        seed=seed,
        device=device,
        dtype=dtype,
        revision=revision,
        memory=mebibytes(memory),
    )
    with reporting(Path(model).name, "facts", quiet) as report:
        table = evaluation.evaluate(request, report)
    _show(table, target)


def faithfulness(
    model: Model,
    run: Run = None,
    facts: Annotated[
        int, typer.Option(metavar="N", min=1, help="Facts drawn; one prompt of each is asked.")
    ] = 40,
    langs: Langs = None,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    db: options.Database = options.DATABASE,
    device: Device = "auto",
    dtype: Dtype = "float32",
    revision: Revision = None,
    memory: Memory = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Compare each method's scores with what suppressing every single neuron really does.

    kndb evaluate faithfulness --model demo-masked --facts 10
    kndb evaluate faithfulness --model demo-masked -o faithfulness.csv

    Every neuron of the model is suppressed alone, on every prompt drawn:
    with a large model ask for few facts.
    """
    target = choose(format, json, output, quiet)
    quiet_loading(model, quiet)
    # Here, because it takes torch: saves seconds in the help.
    from kndb_ingest.evaluation import faithfulness as evaluation

    request = evaluation.FaithfulnessRequest(
        database=db,
        model=model,
        run=run,
        facts=facts,
        langs=chosen_langs(langs),
        replicates=replicates,
        seed=seed,
        device=device,
        dtype=dtype,
        revision=revision,
        memory=mebibytes(memory),
    )
    with reporting(Path(model).name, "neurons", quiet) as report:
        table = evaluation.evaluate(request, report)
    _show(table, target)


def _show(table: Table, target: Output) -> None:
    if target.format != "table":
        show([table], table.name, target)
        return
    show([for_people(table)], table.name, target)
    note("CSV, JSON and Parquet have more figures: -o FILE.", target.quiet)


def for_people(table: Table) -> Table:
    """The rows over all relations and languages, and the columns that matter most.

    A whole table is 34 columns wide, and has a row for each relation and language.
    """
    at = {name: place for place, name in enumerate(table.columns)}
    kept = [
        name
        for column in _FOR_PEOPLE[table.name]
        for name in (column, f"{column}_low", f"{column}_high")
        if name in at
    ]
    return replace(
        table,
        columns=kept,
        rows=[[row[at[name]] for name in kept] for row in table.rows if _whole(row, at)],
    )


def _whole(row: Sequence[Any], at: dict[str, int]) -> bool:
    return "relation" not in at or row[at["relation"]] == row[at["lang"]] == "all"
