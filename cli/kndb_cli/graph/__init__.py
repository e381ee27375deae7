"""``kndb graph``: how neurons connect languages, facts and relations. One module per command."""

from __future__ import annotations

from importlib import import_module

import typer

app = typer.Typer(
    name="graph",
    no_args_is_help=True,
    help="Overlaps between languages, degenerate groups, graphs and pictures.",
)

for _command in ("overlap", "degenerate", "searches", "groups", "export", "plot"):
    app.add_typer(import_module(f"kndb_cli.graph.{_command}").app)
