"""Options shared by several ``kndb evaluate`` commands. No command logic."""

from __future__ import annotations

from typing import Annotated

import typer

Replicates = Annotated[int, typer.Option(metavar="N", min=100, help="Bootstrap draws of facts.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of every draw.")]
Methods = Annotated[
    str | None,
    typer.Option(
        metavar="METHODS",
        help="Compare only these: amig,ig-zero. Default: every preset that the model allows, "
        "most-active and random. amig-paper takes the longest.",
    ),
]
