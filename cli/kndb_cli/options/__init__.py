"""Options shared by several commands, each defined once. No command logic.

A command names an option as the type of a parameter: ``def runs(db: Database = DATABASE)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
        help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}. Default: by the suffix of -o, "
        "else a table in a terminal and CSV in a pipe.",
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


def run_option(panel: str | None = None, default: str = "the model's newest finished run") -> Any:
    """The option ``--run``; ``panel`` is its heading in the help, ``default`` ends its text."""
    return typer.Option(
        "--run",
        metavar="RUN",
        help=f"A run's id, or its first digits; 'kndb runs' lists them. Default: {default}.",
        rich_help_panel=panel,
    )


RunId = Annotated[str | None, run_option(_NARROW, "the newest finished run")]
RunOfModel = Annotated[str | None, run_option()]
CalibratedRun = Annotated[str | None, run_option(default="that of the newest calibration")]

_RESELECT = "Reselecting, without the model"

Tau = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        help="Neurons above this share (from 0.05) of their prompt's highest score. "
        "Default: as in the run.",
        rich_help_panel=_RESELECT,
    ),
]
Share = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Neurons found in more than this share of the fact's prompts. Default: as in the run.",
        rich_help_panel=_RESELECT,
    ),
]


def listed(text: str | None) -> tuple[str, ...]:
    """The parts of a comma-separated list; empty if nothing was given.

    >>> listed("en, zh"), listed(None)
    (('en', 'zh'), ())
    """
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
