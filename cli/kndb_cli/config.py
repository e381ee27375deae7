"""``kndb config``: the defaults, and where each comes from."""

from __future__ import annotations

import os

import typer

from kndb_cli import options
from kndb_cli.output import choose, emit
from kndb_cli.output.rows import Listing
from kndb_cli.output.terminal import note
from kndb_cli.settings import SETTINGS, config_path, read_config, variable

app = typer.Typer()


@app.command()
def config(
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Show the defaults of options, and where each comes from.

    kndb config

    An option goes before its environment variable (KNDB_DB, KNDB_MODEL, KNDB_DEVICE, KNDB_DTYPE,
    KNDB_PAGER), and that before the configuration file, KNDB_CONFIG or ~/.config/kndb/config.toml,
    with lines such as: db = "facts.duckdb"
    """
    target = choose(format, json, output, quiet)
    path = config_path()
    in_file = read_config(path)
    rows = []
    for name, meaning in SETTINGS.items():
        value = os.environ.get(variable(name))
        # main has put the file's values into the environment.
        source = "file" if value is not None and in_file.get(name) == value else "environment"
        rows.append((name, value, None if value is None else source, variable(name), meaning))
    emit(Listing(("setting", "value", "from", "variable", "meaning"), rows), target)
    note(
        f"The configuration file is {path}{'' if path.is_file() else ', which is not there'}.",
        quiet,
    )
