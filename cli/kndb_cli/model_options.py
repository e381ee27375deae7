"""The options of commands that run a model, each defined once."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kndb_cli.terminal import note

_MODEL = "How the model runs"

Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="The run's model: a Hugging Face id, a folder, demo-masked or demo-causal.",
    ),
]
Device = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda or mps.", rich_help_panel=_MODEL),
]
Dtype = Annotated[
    str,
    typer.Option(metavar="DTYPE", help="float32, bfloat16 or float16.", rich_help_panel=_MODEL),
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
        help="MiB for activations. Unless said: 160, and on CUDA a quarter of what is free.",
        rich_help_panel=_MODEL,
    ),
]


def mebibytes(memory: int | None) -> int | None:
    """The bytes of so many MiB."""
    return None if memory is None else memory * 2**20


def quiet_loading(model: str, quiet: bool) -> None:
    """Say that the model is loaded; with ``--quiet`` nothing, not even the bars of a download."""
    note(f"Loading {model} ...", quiet)
    if quiet:
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read when the hub's client is imported
