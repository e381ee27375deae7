"""``kndb demo``: which tour."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kndb_cli import options
from kndb_cli.demo.embedded import embedded
from kndb_cli.demo.real import real as real_model

app = typer.Typer()


@app.command()
def demo(
    db: Annotated[
        Path | None,
        typer.Option(
            "--db",
            metavar="PATH",
            help="The database to create or continue. Default: demo.duckdb, with --real "
            "demo-real.duckdb.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="Number of embedded facts to use.")] = 40,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            metavar="",
            help="Use a pretrained model, SmolLM2-135M, and the facts that it knows; minutes.",
        ),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """See kndb at work: two small embedded models, real facts, four languages, no network.

    The demo finds the neurons of both models, queries the database, and leaves it for you to
    explore.
    """
    tour = real_model if real else embedded
    tour(db or Path("demo-real.duckdb" if real else "demo.duckdb"), limit, quiet)
