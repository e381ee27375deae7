"""Options shared by several commands, each defined once. No command logic.

A command names an option as the type of a parameter: ``def runs(db: Database = DATABASE)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kndb_cli import completion
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
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, help="At most N rows, the first.", rich_help_panel=_OUTPUT
    ),
]
NewestLimit = Annotated[
    int | None,
    typer.Option(
        "--limit", metavar="N", min=1, help="At most N rows, the newest.", rich_help_panel=_OUTPUT
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


def repeated(*names: str, metavar: str, what: str, panel: str | None = _NARROW, **more: Any) -> Any:
    """An option that may be repeated; ``panel`` is its heading in the help."""
    text = f"{what} Can be repeated."
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=panel, **more)


Facts = Annotated[
    list[str] | None,
    repeated(
        "--fact",
        metavar="FACT",
        what='A fact\'s key (P36:Q962), a prompt ("The capital of Benin is [MASK]."), '
        "or words of its subject in any language.",
    ),
]


def relations_option(
    panel: str | None = _NARROW, what: str = "Relations by id or label: P36,capital"
) -> Any:
    """The option ``--relation`` or ``--relations``; ``panel`` is its heading in the help."""
    names = ("--relation", "--relations")
    return repeated(
        *names,
        metavar="RELATIONS",
        what=f"{what}.",
        panel=panel,
        autocompletion=completion.relations,
    )


Relations = Annotated[list[str] | None, relations_option()]


def langs_option(what: str, panel: str | None = _NARROW) -> Any:
    """The option ``--lang`` or ``--langs``: ``what`` begins its help, ``panel`` is its heading."""
    return repeated(
        *("--lang", "--langs"),
        metavar="LANGS",
        what=f"{what}: en,zh.",
        panel=panel,
        autocompletion=completion.languages,
    )


Langs = Annotated[list[str] | None, langs_option("Only these languages")]
Neurons = Annotated[
    list[str] | None,
    repeated("--neuron", metavar="LAYER:INDEX", what="A neuron, to see which facts use it: 2:641."),
]
Answers = Annotated[
    list[str] | None,
    repeated(
        "--answer",
        metavar="ANSWER",
        what="An answer in any language, or words of it: Porto-Novo.",
    ),
]
Layers = Annotated[
    list[int] | None,
    repeated("--layer", metavar="LAYER", what="A layer, from 0, with the neurons."),
]


def unless_run(context: typer.Context, model: Any) -> Any:
    """The model; None where a run is given and the model is only a default from ``KNDB_MODEL``."""
    source = context.get_parameter_source("model")
    is_default = source is not None and source.name == "ENVIRONMENT"
    return None if is_default and context.params.get("run") else model


_MODEL_NAME = "A model's name, or a part of it."
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="KNDB_MODEL",
        metavar="MODEL",
        help=_MODEL_NAME,
        rich_help_panel=_NARROW,
        callback=unless_run,
        autocompletion=completion.models,
    ),
]
ModelNames = Annotated[
    list[str] | None,
    repeated(
        "--model",
        metavar="MODEL",
        what=_MODEL_NAME,
        envvar="KNDB_MODEL",
        callback=unless_run,
        autocompletion=completion.models,
    ),
]


def run_option(panel: str | None = None, default: str = "the model's newest finished run") -> Any:
    """The option ``--run``; ``panel`` is its heading in the help, ``default`` ends its text."""
    return typer.Option(
        "--run",
        metavar="RUN",
        help=f"A run's name, its id, or the first digits of that; 'kndb runs' lists them. "
        f"Default: {default}.",
        rich_help_panel=panel,
        autocompletion=completion.runs,
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


def listed(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The parts of comma-separated lists; empty if nothing was given.

    >>> listed("en, zh"), listed(["en,zh", "ru"]), listed(None)
    (('en', 'zh'), ('en', 'zh', 'ru'), ())
    """
    every = [given] if isinstance(given, str) else given or []
    return tuple(part.strip() for text in every for part in text.split(",") if part.strip())
