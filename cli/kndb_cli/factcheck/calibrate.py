"""``kndb factcheck calibrate``: the neurons and thresholds of the fact check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kndb_cli import options
from kndb_cli.options import engine as engine_options
from kndb_cli.options.model import Device, Dtype, Memory, Model, Revision, chosen, loading
from kndb_cli.output import choose, emit
from kndb_cli.output.progress import reporting
from kndb_cli.output.rows import Listing
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from kndb.factcheck.calibration_rows import Calibration


def calibrate(
    model: Model,
    run: options.RunOfModel = None,
    split: Annotated[
        str,
        typer.Option(metavar="T/V/T", help="Shares of training, validation and test facts."),
    ] = "60/20/20",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the split and of the wrong answers.")
    ] = 0,
    share: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="Keep neurons in more than this share of the most frequent one's facts.",
        ),
    ] = 0.7,
    maximise: Annotated[
        str, typer.Option(metavar="WHAT", help="What the threshold maximises: f1 or accuracy.")
    ] = "f1",
    wrong: Annotated[int, typer.Option(metavar="N", help="Wrong answers per prompt.")] = 1,
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
    """Choose neurons on training facts and thresholds on validation facts, and store both.

    kndb graph degenerate --model demo-masked
    kndb factcheck calibrate --model demo-masked --split 60/20/20 --seed 0
    """
    target = choose(format, json, output, quiet)
    choice = chosen(model, device, dtype, revision, memory, quiet=quiet)
    from kndb.factcheck.calibration import CalibrationRequest
    from kndb.factcheck.calibration import calibrate as choose_thresholds
    from kndb.factcheck.labelled_claims import parse_split

    request = CalibrationRequest(
        database=db,
        model=choice,
        run=run,
        split=parse_split(split),
        seed=seed,
        share=share,
        objective=maximise,
        wrong=wrong,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    loading(choice, quiet)
    with reporting(choice.label, "claims", quiet) as report:
        found = choose_thresholds(request, report)
    emit(_thresholds(found), target)
    note(_summary(found, maximise), quiet)


def _thresholds(found: Calibration) -> Listing:
    columns = ("relation", "lang", "method", "threshold", "neurons", "train", "validation")
    rows = [
        (
            *chosen.relation_lang,
            chosen.method,
            chosen.threshold,
            chosen.n_neurons,
            chosen.n_train,
            chosen.n_validation,
            chosen.n_claims,
            chosen.f1,
            chosen.accuracy,
        )
        for chosen in found.thresholds
    ]
    return Listing((*columns, "claims", "f1", "accuracy"), rows)


def _summary(found: Calibration, maximised: str) -> str:
    counts = [
        f"{sum(split == name for split in found.splits.values())} {name}"
        for name in ("train", "validation", "test")
    ]
    lines = [
        f"{found.model}: {', '.join(counts)} facts; thresholds with the highest {maximised} on the "
        "validation facts.",
        *_shortcomings(found),
        f"Calibration {found.calibration_id} is stored.",
    ]
    return "\n".join(lines)


def _shortcomings(found: Calibration) -> list[str]:
    """Where the method ``degenerate`` cannot separate true from false, and what helps."""
    relation_langs = {chosen.relation_lang for chosen in found.thresholds}
    without = sum(not found.neurons["degenerate"].get(one) for one in relation_langs)
    own = sum(chosen.method == "degenerate" for chosen in found.thresholds)
    useless = len(found.useless("degenerate"))
    said = []
    if without:
        said.append(
            f"{without} of {len(relation_langs)} relation-language pairs have no "
            "degenerate neurons among the training facts."
        )
    if useless:
        said.append(
            f"{useless} of {own} thresholds of the method degenerate do no better than calling "
            "everything true."
        )
    if said:
        said.append(
            "More facts help: search all with 'kndb graph degenerate', or ingest more, and "
            "calibrate again; or check with --method probability."
        )
    return said
