"""``kndb ingest``: run a fact set through a model and store the neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kndb.errors import UsageError
from kndb_cli import completion, options
from kndb_cli.errors import resumable
from kndb_cli.options import engine as engine_options
from kndb_cli.options import model as model_options
from kndb_cli.output.ingest_summary import planned, summary
from kndb_cli.output.progress import reporting
from kndb_cli.output.terminal import note, visible

if TYPE_CHECKING:
    from kndb_ingest.request import IngestRequest
    from kndb_ingest.summary import IngestSummary

app = typer.Typer()

_FACTS = "Which facts"
_METHOD = "How neurons are found"


@app.command()
def ingest(
    model: Annotated[
        str,
        typer.Option(
            envvar="KNDB_MODEL",
            metavar="MODEL",
            help="A Hugging Face id, a folder with safetensors, a GGUF file, demo-masked or "
            "demo-causal.",
            autocompletion=completion.loadable,
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DATASET",
            help="A fact set's folder or file (mParaRel, ParaRel, mLAMA, BMLAMA, AMIG, "
            "CounterFact; JSONL, CSV or Parquet), or demo.",
        ),
    ],
    db: options.Database = options.DATABASE,
    langs: Annotated[list[str] | None, options.langs_option("Only these languages", _FACTS)] = None,
    relations: Annotated[
        list[str] | None, options.relations_option(_FACTS, "Only these relations: P36,P37")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="At most N facts, sampled with --seed; the same facts in every language.",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    templates: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="At most N templates for each relation and language.",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="N", help="Seed for sampling facts.", rich_help_panel=_FACTS),
    ] = 0,
    preset: Annotated[
        str,
        typer.Option(
            metavar="PRESET",
            help="amig (exact), amig-paper, amig-code or ig-zero (agrees better with what "
            "suppressing a neuron does: measured on SmolLM2, Gemma 3 and the demo).",
            rich_help_panel=_METHOD,
        ),
    ] = "amig",
    tau: Annotated[
        float,
        typer.Option(
            metavar="T",
            help="Neurons above this share (from 0.05) of their prompt's highest score.",
            rich_help_panel=_METHOD,
        ),
    ] = 0.2,
    share: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Neurons found in more than this share of the fact's prompts.",
            rich_help_panel=_METHOD,
        ),
    ] = 0.5,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            help="Largest relative error: the estimate for a prompt's scores, and the completeness "
            "residual of each path. Default: the preset's (amig: 0.01).",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    max_nodes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Most points per path at which the model is run, with refinement. Default: the "
            "preset's (amig: 255).",
            rich_help_panel=_METHOD,
        ),
    ] = None,
    known: Annotated[
        int | None,
        typer.Option(
            metavar="RANK",
            help="Find neurons only where the answer is among the model's RANK likeliest: 1 for "
            "its first choice. Other prompts are only asked, which costs little.",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(
            "--words",
            metavar="",
            help="Store what each word of a prompt contributes, too (a run by itself); "
            "`kndb query --words` shows it.",
            rich_help_panel=_METHOD,
        ),
    ] = False,
    keep: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="top: each prompt's highest scores. all: the score of every neuron, too, in "
            "Parquet files beside the database (a run by itself); the view score reads them.",
            rich_help_panel=_METHOD,
        ),
    ] = "top",
    directions: Annotated[
        bool,
        typer.Option(
            "--directions",
            metavar="",
            help="Store the tokens that each knowledge neuron pushes up and down most, too; "
            "`kndb neurons --directions` shows them. Also for a finished run.",
            rich_help_panel=_METHOD,
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Only the I-th of N parts of the facts; `kndb merge` brings them together.",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            metavar="",
            help="Try a small sample, show what the whole would cost, and store nothing.",
        ),
    ] = False,
    price: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0.0,
            help="What an hour of a machine like this costs, for --plan.",
        ),
    ] = None,
    device: model_options.Device = "auto",
    dtype: model_options.Dtype = "float32",
    revision: model_options.Revision = None,
    memory: model_options.Memory = None,
    devices: engine_options.Devices = None,
    engine: engine_options.Engine = "local",
    ray_address: engine_options.RayAddress = None,
    workers: engine_options.Workers = None,
    gpus_per_worker: engine_options.GpusPerWorker = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Give the finished run a name, which --run takes."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Find the neurons with which a model recalls a set of facts, and store them.

    kndb ingest --model demo-masked --dataset demo --limit 50
    kndb ingest --model bert-base-multilingual-cased --dataset mpararel --langs en,zh --known 1
    kndb ingest --model demo-masked --dataset demo --plan
    kndb ingest --model demo-masked --dataset demo --shard 1/8 --db shard-1.duckdb
    kndb ingest --model demo-masked --dataset demo --engine ray --workers 2

    Ctrl-C loses nothing: run the same command again to continue.
    """
    # Here, because reading data sets needs imports that --help does not.
    from kndb.store.naming import check_name, name_run
    from kndb_ingest.request import IngestRequest

    choice = model_options.chosen(model, device, dtype, revision, memory, quiet=quiet)
    request = IngestRequest(
        database=db,
        model=choice,
        dataset=dataset,
        preset=preset,
        langs=options.listed(langs),
        relations=options.listed(relations),
        limit=limit,
        templates=templates,
        seed=seed,
        tau=tau,
        share=share,
        tolerance=tolerance,
        max_nodes=max_nodes,
        known=known,
        words=words,
        keep=keep,
        directions=directions,
        shard=shard,
        **engine_options.placement(devices, engine, ray_address, workers, gpus_per_worker),
    )
    if name is not None:
        check_name(name)
    request.check()
    if price is not None and not plan:
        raise UsageError("--price goes with --plan; add that, or leave it out.")
    if plan:
        show_plan(request, quiet, price)
        return
    model_options.loading(choice, quiet)
    done = run(request, quiet)
    note(summary(done), quiet)
    if name is not None:
        name_run(db, done.run_id, name)


def show_plan(request: IngestRequest, quiet: bool, price: float | None = None) -> None:
    """Print what an ingestion would cost."""
    model_options.loading(request.model, quiet)
    # Here, because this imports torch.
    from kndb_ingest.plan import plan

    with reporting(request.model.label, "prompts", quiet) as report:
        found = plan(request, report)
    workers = request.cluster.workers if request.cluster else len(request.devices) or None
    print(visible(planned(found, workers, price)))


def run(request: IngestRequest, quiet: bool) -> IngestSummary:
    """Ingest with a progress bar on stderr."""
    from kndb_ingest import pipeline

    first: tuple[int, int] | None = None
    stored = False

    def kept() -> str:
        if stored:
            return "Finished work is stored; run the same command again to continue."
        return "No prompt was finished, and nothing was stored; the same command starts again."

    with resumable(kept, quiet), reporting(request.model.label, "prompts", quiet) as report:

        def counted(done: int, total: int) -> None:
            nonlocal first, stored
            first = first or (done, total)
            stored = stored or done > 0 or (done, total) != first
            report(done, total)

        return pipeline.ingest(request, counted)
