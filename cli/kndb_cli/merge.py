"""``kndb merge``: databases into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kndb_cli import options
from kndb_cli.output.progress import reporting
from kndb_cli.output.terminal import note

app = typer.Typer()


@app.command()
def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="DATABASE...", help="Databases, such as those of shards."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The database to make, or to add them to."
        ),
    ],
    quiet: options.Quiet = False,
) -> None:
    """Merge databases: runs, searches, calibrations and edits; what is the same is there once.

    kndb merge shard-1.duckdb shard-2.duckdb -o whole.duckdb

    Shards of a run (kndb ingest --shard) become one run. They must be finished, and made with the
    same model, data and settings.
    """
    # Deferred: --help needs no library.
    from kndb.store.merging import merge as merged_from

    with reporting("Merging", "databases", quiet) as report:
        done = merged_from(sources, output, report)
    new = {table: done.new.get(table, 0) for table in ("run", "prediction", "attribution")}
    note(
        f"Merged into {output}: {new['prediction']:,} prompts and {new['attribution']:,} scores "
        f"that it did not have (new runs: {new['run']:,}).",
        quiet,
    )
    for run_id, missing in done.missing.items():
        note(f"The run {run_id} still lacks the shards {', '.join(map(str, missing))}.", quiet)
