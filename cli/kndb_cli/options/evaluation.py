"""Options shared by several ``kndb evaluate`` commands. No command logic."""

from __future__ import annotations

from typing import Annotated

import typer

Replicates = Annotated[int, typer.Option(metavar="N", min=100, help="Bootstrap draws of facts.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of every draw.")]
