"""Options shared by several ``kndb graph`` commands. No command logic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kndb_cli.completion import searches
from kndb_cli.options import listed

if TYPE_CHECKING:
    from kndb.graph.selection import Selection

Search = Annotated[
    str | None,
    typer.Option(
        metavar="SEARCH",
        help="A search's id, or its first digits: use its degenerate pairs. "
        "'kndb graph degenerate' prints the id. Default: the run's newest finished search.",
        rich_help_panel="Which neurons",
        autocompletion=searches,
    ),
]


def selection_of(
    fact: list[str] | None,
    relation: list[str] | None,
    langs: list[str] | None,
    model: str | None,
    run: str | None,
    search: str | None,
) -> Selection:
    """The neurons that these options select."""
    # Deferred: --help needs no library.
    from kndb.graph.selection import Selection

    return Selection(fact or None, relation or None, listed(langs), model, run, search)
