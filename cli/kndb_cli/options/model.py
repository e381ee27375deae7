"""Options of commands that run a model, each defined once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kndb.models.choice import ModelChoice
from kndb_cli.completion import loadable
from kndb_cli.options import DATABASE, unless_run
from kndb_cli.output.terminal import note
from kndb_cli.settings import variable

_MODEL = "How the model runs"


def of_run(context: typer.Context, model: str | None) -> str | None:
    """The model; if it is only a default from ``KNDB_MODEL``, a given run's model goes before it.

    Raises:
        NotFound: there is no such run.
        DatabaseError: the database cannot be opened.
    """
    if model is None or unless_run(context, model) is not None:
        return model
    # Deferred: only this needs the database.
    from kndb.store.runs import named_run

    database = context.params.get("db") or os.environ.get(variable("db")) or DATABASE
    named = named_run(Path(database), context.params["run"]).model
    return model if Path(model).name == named else named


Model = Annotated[
    str,
    typer.Option(
        envvar="KNDB_MODEL",
        metavar="MODEL",
        help="The run's model: a Hugging Face id, a folder, a GGUF file, or a demo model.",
        callback=of_run,
        autocompletion=loadable,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        envvar="KNDB_DEVICE",
        metavar="DEVICE",
        help="auto, cpu, cuda, mps, or spread: over all GPUs, then the machine's memory, for a "
        "model that fits no single one.",
        rich_help_panel=_MODEL,
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        envvar="KNDB_DTYPE",
        metavar="DTYPE",
        help="float32, bfloat16 or float16.",
        rich_help_panel=_MODEL,
    ),
]
Revision = Annotated[
    str | None,
    typer.Option(
        metavar="REVISION",
        help="Branch, tag or commit of a Hugging Face model.",
        rich_help_panel=_MODEL,
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        metavar="MIB",
        min=1,
        help="MiB for activations. Default: 512, and on CUDA a quarter of the free memory.",
        rich_help_panel=_MODEL,
    ),
]


def chosen(
    model: str,
    device: str,
    dtype: str,
    revision: str | None,
    memory: int | None = None,
    *,
    quiet: bool,
) -> ModelChoice:
    """The model chosen by these options; a name that cannot be right is refused.

    With ``--quiet`` a download shows no bars. ``memory`` is in MiB.
    """
    if quiet:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read when the hub's client is imported
    choice = ModelChoice(model, device, dtype, revision, None if memory is None else memory * 2**20)
    choice.check()
    return choice


def loading(choice: ModelChoice, quiet: bool) -> None:
    """Note that the model is being loaded, once everything else has been checked."""
    note(f"Loading {choice.name} ...", quiet)
