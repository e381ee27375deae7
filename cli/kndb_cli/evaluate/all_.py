"""``kndb evaluate all``: every evaluation, in one page and a folder of tables."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from kndb.progress import Report
from kndb_cli import options
from kndb_cli.errors import resumable
from kndb_cli.options import engine as engine_options
from kndb_cli.options.evaluation import Replicates, Seed
from kndb_cli.options.model import Device, Dtype, Memory, Model, Revision, chosen, loading
from kndb_cli.output.progress import reporting
from kndb_cli.output.terminal import note


def all_(
    model: Model,
    report: Annotated[
        Path,
        typer.Option("--report", metavar="DIR", help="The folder to write to, created if missing."),
    ],
    run: options.RunOfModel = None,
    facts: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Facts drawn for localisation and for faithfulness. Default: 24 and 40.",
        ),
    ] = None,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", metavar="", help="Recompute tables that exist with the same settings."
        ),
    ] = False,
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
    quiet: options.Quiet = False,
) -> None:
    """Run every evaluation and write one page, with its tables as CSV and JSON.

    kndb evaluate all --model demo-masked --report report

    DIR/index.html is self-contained. If the database lacks something, such as a calibration, the
    page names the command that creates it. Ctrl-C loses nothing: run the same command again to
    continue.
    """
    choice = chosen(model, device, dtype, revision, memory, quiet=quiet)
    # Deferred: imports PyTorch, which takes seconds and --help does not need.
    from kndb.evaluation.report.run import ReportRequest, write_report

    def progress(label: str, unit: str) -> AbstractContextManager[Report]:
        return reporting(label, unit, quiet)

    request = ReportRequest(
        database=db,
        model=choice,
        folder=report,
        run=run,
        facts=facts,
        replicates=replicates,
        seed=seed,
        fresh=fresh,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    loading(choice, quiet)
    with resumable("Finished work is stored; run the same command again to continue.", quiet):
        written = write_report(request, progress)
    if written.kept:
        note(f"Kept tables made with the same settings: {', '.join(written.kept)}.", quiet)
    for name, why in written.missing.items():
        note(f"Nothing for {name}: {why}", quiet)
    note(f"Wrote {written.page}.", quiet)
