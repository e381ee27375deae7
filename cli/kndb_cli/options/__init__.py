"""The options that several commands share, each defined once. No command logic.

A command names an option as the type of a parameter: ``def runs(db: Database = DATABASE)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kndb_cli.output.formats import FORMATS, Format

DATABASE = Path("kndb.duckdb")

_OUTPUT = "Output"
_NARROW = "Which neurons"

Database = Annotated[
    Path, typer.Option("--db", envvar="KNDB_DB", metavar="PATH", help="The database file.")
]

FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}. Unless said: what the name of -o "
        "ends in, else a table in a terminal and CSV in a pipe.",
        rich_help_panel=_OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Short for --format json.", rich_help_panel=_OUTPUT),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this file, which appears once it is complete; - is standard output.",
        rich_help_panel=_OUTPUT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        metavar="",
        help="No progress and no notes: only data and errors.",
        rich_help_panel=_OUTPUT,
    ),
]

Fact = Annotated[
    str | None,
    typer.Option(
        metavar="FACT",
        help='A fact\'s key (P36:Q962), a prompt ("The capital of Benin is [MASK]."), '
        "or words of its subject in any language.",
        rich_help_panel=_NARROW,
    ),
]
RelationOption = Annotated[
    str | None,
    typer.Option(
        "--relation",
        metavar="RELATION",
        help="A relation's id or label: P36, capital.",
        rich_help_panel=_NARROW,
    ),
]
Lang = Annotated[
    str | None, typer.Option(metavar="LANG", help="A language: en.", rich_help_panel=_NARROW)
]
NeuronOption = Annotated[
    str | None,
    typer.Option(
        "--neuron",
        metavar="LAYER:INDEX",
        help="One neuron, to see which facts use it.",
        rich_help_panel=_NARROW,
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="A model's name, or a part of it.",
        rich_help_panel=_NARROW,
    ),
]
RunId = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        help="A run's id, or its first digits; 'kndb runs' lists them.",
        rich_help_panel=_NARROW,
    ),
]
