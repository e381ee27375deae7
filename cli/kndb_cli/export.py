"""``kndb export``: a table or view of the database as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kndb_cli import completion, options
from kndb_cli.output import file_format, named, opened
from kndb_cli.output.terminal import note

app = typer.Typer()

FileFormat = Literal["parquet", "csv", "json", "jsonl"]


@app.command()
def export(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A table or view; 'kndb db schema' lists them.",
            autocompletion=completion.tables,
        ),
    ],
    db: options.Database = options.DATABASE,
    format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="parquet, csv, json or jsonl. Default: by the suffix of -o; csv for -o -, "
            "else parquet.",
            rich_help_panel="Output",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write, which appears once it is complete; - is standard output. "
            "Default: TABLE.parquet, or the suffix of --format.",
            rich_help_panel="Output",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a whole table or view to a Parquet, CSV or JSON file.

    kndb export knowledge_neurons
    kndb export attribution -o scores.csv
    kndb export run -o - --format jsonl
    """
    # Deferred: --help needs no library.
    from kndb.store.export import ENDINGS, export_into

    file = output or Path(f"{table}.{format or 'parquet'}")
    chosen = file_format(file, format, ENDINGS, default="csv")
    with opened(file, binary=chosen == "parquet") as stream:
        rows = export_into(stream, db, table, chosen)
    note(f"Wrote {rows} rows of {table} to {named(file)}.", quiet)
