"""``kndb evaluate``: what the neurons are good for, measured on held-out facts."""

from __future__ import annotations

import typer

from kndb_cli import options
from kndb_cli.evaluate.all_ import all_
from kndb_cli.evaluate.neurons import faithfulness, localisation
from kndb_cli.evaluate.tables import crosslingual, degenerate, overall, show
from kndb_cli.options import engine as engine_options
from kndb_cli.options.evaluation import Replicates, Seed
from kndb_cli.options.model import Device, Dtype, Memory, Model, Revision, chosen, loading
from kndb_cli.output import choose
from kndb_cli.output.progress import reporting

app = typer.Typer(
    name="evaluate",
    no_args_is_help=True,
    help="Measure what the neurons are good for, with controls and intervals.",
)


_FOR_PEOPLE = ("method", "n_claims", "f1", "auroc", "accuracy", "answered")
"""The columns of the printed table; the other formats have all."""


@app.callback()
def evaluate() -> None:
    """Measure what the neurons are good for, with controls and intervals."""


@app.command()
def factcheck(
    model: Model,
    run: options.CalibratedRun = None,
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
    """Test the fact check on the facts held out from its calibration.

    kndb evaluate factcheck --model demo-masked -o factcheck.csv

    Baselines: random neurons of the same layers, the model's own first choice, and calling
    everything true. Intervals are 95 % bootstrap intervals over facts.
    """
    target = choose(format, json, output, quiet)
    choice = chosen(model, device, dtype, revision, memory, quiet=quiet)
    from kndb.evaluation import factcheck as evaluation
    from kndb.evaluation.factcheck_table import as_table

    request = evaluation.EvaluationRequest(
        database=db,
        model=choice,
        run=run,
        replicates=replicates,
        seed=seed,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    loading(choice, quiet)
    with reporting(choice.label, "claims", quiet) as report:
        rows = evaluation.evaluate(request, report)
    table = as_table(rows, {})
    show([overall(table, _FOR_PEOPLE) if target.format == "table" else table], None, target)


for command in (localisation, faithfulness, crosslingual, degenerate):
    app.command()(command)
app.command("all")(all_)
