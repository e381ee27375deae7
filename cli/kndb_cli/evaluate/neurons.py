"""``kndb evaluate localisation`` and ``faithfulness``: what suppressing neurons does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kndb.errors import UsageError
from kndb_cli import options
from kndb_cli.evaluate.tables import overall, show
from kndb_cli.options import engine as engine_options
from kndb_cli.options.evaluation import Methods, Replicates, Seed
from kndb_cli.options.model import Device, Dtype, Memory, Model, Revision, chosen, loading
from kndb_cli.output import Output, choose
from kndb_cli.output.progress import reporting
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from kndb.evaluation.table import Table

_LOCALISATION = (
    "effect",
    "method",
    "n_neurons",
    "related_relative",
    "unrelated_relative",
    "success",
    "wrong_sign",
    "specificity",
)
"""The columns of the printed table; the other formats have all."""


def localisation(
    model: Model,
    run: options.RunOfModel = None,
    facts: Annotated[
        int, typer.Option(metavar="N", min=1, help="Facts to draw, each in all its languages.")
    ] = 24,
    langs: options.Langs = None,
    unrelated: Annotated[
        int, typer.Option(metavar="N", min=1, help="Unrelated facts measured for each fact.")
    ] = 6,
    methods: Methods = None,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    db: options.Database = options.DATABASE,
    device: Device = "auto",
    dtype: Dtype = "float32",
    revision: Revision = None,
    memory: Memory = None,
    devices: engine_options.Devices = None,
    engine: engine_options.Engine = "local",
    ray_address: engine_options.RayAddress = None,
    workers: engine_options.Workers = None,
    gpus_per_worker: engine_options.GpusPerWorker = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Suppress and enhance a fact's neurons, and measure it and unrelated facts.

    kndb evaluate localisation --model demo-masked
    kndb evaluate localisation --model demo-masked --langs en --json

    Each method gets as many neurons as the fact has knowledge neurons.

    The printed table covers all facts together; CSV, JSON and Parquet add
    each relation and language, and all measures.
    """
    target = choose(format, json, output, quiet)
    choice = chosen(model, device, dtype, revision, memory, quiet=quiet)
    # Deferred: torch takes seconds to import and --help does not need it.
    from kndb.evaluation import localisation as evaluation

    request = evaluation.LocalisationRequest(
        database=db,
        model=choice,
        run=run,
        facts=facts,
        langs=options.listed(langs),
        unrelated=unrelated,
        methods=options.listed(methods),
        replicates=replicates,
        seed=seed,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    loading(choice, quiet)
    with reporting(choice.label, "facts", quiet) as report:
        table = evaluation.evaluate(request, report)
    _show(table, _LOCALISATION, target)


def faithfulness(
    model: Model,
    run: options.RunOfModel = None,
    facts: Annotated[
        int, typer.Option(metavar="N", min=1, help="Facts to draw, with one prompt each.")
    ] = 40,
    langs: options.Langs = None,
    top: Annotated[
        str, typer.Option(metavar="NUMBERS", help="How many of the highest scores to compare.")
    ] = "10,20,50",
    neurons: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Try only N random neurons and the top of each method, for large models. "
            "Default: all.",
        ),
    ] = None,
    methods: Methods = None,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    db: options.Database = options.DATABASE,
    device: Device = "auto",
    dtype: Dtype = "float32",
    revision: Revision = None,
    memory: Memory = None,
    devices: engine_options.Devices = None,
    engine: engine_options.Engine = "local",
    ray_address: engine_options.RayAddress = None,
    workers: engine_options.Workers = None,
    gpus_per_worker: engine_options.GpusPerWorker = None,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Compare each method's scores with the real effect of suppressing every single neuron.

    kndb evaluate faithfulness --model demo-masked --facts 10
    kndb evaluate faithfulness --model demo-masked -o faithfulness.csv
    kndb evaluate faithfulness --model demo-masked --engine ray --workers 2

    Every neuron of the model is suppressed by itself on every prompt drawn,
    so use few facts with a large model, or --neurons. The printed table has the middle value
    of --top; CSV, JSON and Parquet have all.
    """
    target = choose(format, json, output, quiet)
    choice = chosen(model, device, dtype, revision, memory, quiet=quiet)
    # Deferred: torch takes seconds to import and --help does not need it.
    from kndb.evaluation import faithfulness as evaluation

    request = evaluation.FaithfulnessRequest(
        database=db,
        model=choice,
        run=run,
        facts=facts,
        langs=options.listed(langs),
        top=_sizes(top),
        neurons=neurons,
        methods=options.listed(methods),
        replicates=replicates,
        seed=seed,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    loading(choice, quiet)
    with reporting(choice.label, "neurons", quiet) as report:
        table = evaluation.evaluate(request, report)
    _show(table, _for_people(table), target)


def _for_people(table: Table) -> Sequence[str]:
    """The columns of the printed faithfulness table: only the middle value of ``--top``."""
    top = table.settings["top"]
    k = top[len(top) // 2]
    return "method", "n_prompts", "spearman", f"overlap_{k}", f"removed_{k}"


def _sizes(top: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, top.split(",")))
    except ValueError as error:
        raise UsageError(
            f"--top takes numbers of neurons, such as 10,20,50, but is {top!r}."
        ) from error


def _show(table: Table, columns: Sequence[str], target: Output) -> None:
    drawn = target.format == "table"
    show([overall(table, columns) if drawn else table], None, target)
    if drawn:
        note("For more figures, write CSV, JSON or Parquet with -o FILE.", target.quiet)
