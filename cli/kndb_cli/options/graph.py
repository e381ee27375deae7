"""The options that several ``kndb graph`` commands share. No command logic."""

from __future__ import annotations

from typing import Annotated

import typer

_ANEW = "Selecting anew, without the model"

Tau = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="Neurons above this share (from 0.05) of their prompt's highest score. "
        "Unless said: as the run was made.",
        rich_help_panel=_ANEW,
    ),
]
Share = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Neurons found in more than this share of the fact's prompts. "
        "Unless said: as the run was made.",
        rich_help_panel=_ANEW,
    ),
]
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


def chosen_langs(langs: str | None) -> tuple[str, ...]:
    """The languages of ``--langs``; none stands for all."""
    return tuple(lang.strip() for lang in langs.split(",")) if langs else ()
