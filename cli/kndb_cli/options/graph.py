"""Options shared by several ``kndb graph`` commands. No command logic."""

from __future__ import annotations

from typing import Annotated

import typer

Langs = Annotated[
    str | None,
    typer.Option(
        metavar="LANGS",
        help="Only these languages: en,zh. Default: all of the run.",
        rich_help_panel="Which neurons",
    ),
]

Search = Annotated[
    str | None,
    typer.Option(
        metavar="SEARCH",
        help="A search's id, or its first digits: use its degenerate pairs. "
        "'kndb graph degenerate' prints the id. Default: the run's newest finished search.",
        rich_help_panel="Which neurons",
    ),
]
