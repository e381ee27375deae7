"""The options that several ``kndb graph`` commands share. No command logic."""

from __future__ import annotations

from typing import Annotated

import typer

Langs = Annotated[
    str | None,
    typer.Option(
        metavar="LANGS",
        help="Only these languages: en,zh. Unless said: all of the run.",
        rich_help_panel="Which neurons",
    ),
]

Search = Annotated[
    str | None,
    typer.Option(
        metavar="SEARCH",
        help="A search's id, or its first digits: which degenerate pairs count. "
        "'kndb graph degenerate' ends with it. Unless said: the run's newest finished one.",
        rich_help_panel="Which neurons",
    ),
]
