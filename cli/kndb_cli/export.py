"""``kndb export``: a table or view of the database as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kndb_cli import options
from kndb_cli.output.terminal import note

app = typer.Typer()

FileFormat = Literal["parquet", "csv"]


@app.command()
def export(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A table or view; 'kndb db schema' lists them.")
    ],
    db: options.Database = options.DATABASE,
    format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="parquet or csv. Unless said: what the name of -o ends in, else parquet.",
            rich_help_panel="Output",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write, whole or not at all. Unless said: TABLE.parquet.",
            rich_help_panel="Output",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a whole table or view to a Parquet or CSV file.

    kndb export knowledge_neurons
    kndb export attribution -o scores.csv
    """
    # Here, because a command's help needs no library.
    from kndb.store.export import export as export_table

    chosen = format or ("csv" if output and output.suffix.lower() == ".csv" else "parquet")
    file = output or Path(f"{table}.{chosen}")
    rows = export_table(db, table, file, chosen)
    note(f"Wrote {rows} rows of {table} to {file}.", quiet)
