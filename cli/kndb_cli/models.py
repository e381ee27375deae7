"""``kndb models``: the models that can be named."""

from __future__ import annotations

from pathlib import Path

import typer

from kndb.models.available import available_models
from kndb_cli import options
from kndb_cli.database import opened
from kndb_cli.output import choose, emit
from kndb_cli.output.rows import Listing

app = typer.Typer()

_COLUMNS = ("name", "where", "architecture", "layers", "neurons", "runs")


@app.command()
def models(
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    limit: options.Limit = None,
    quiet: options.Quiet = False,
) -> None:
    """List the models that can be named: built in, in the Hugging Face cache, in the database.

    kndb models

    Nothing is downloaded. Folders, GGUF files and other models of the hub can be named too.
    """
    target = choose(format, json, output, quiet, limit)
    stored, available = _stored(db), available_models()
    here = [(*model, None, None, None) for model in available if model.name not in stored]
    where = {model.name: f"{model.where}, database" for model in available}
    rows = [(name, where.get(name, "database"), *rest) for name, rest in stored.items()]
    emit(Listing(_COLUMNS, sorted([*here, *rows], key=lambda row: row[0])), target)


def _stored(db: Path) -> dict[str, tuple[str, int, int, int]]:
    """The models of the database by name: architecture, layers, neurons per layer, runs."""
    if not db.exists():
        return {}
    with opened(db) as database:
        return {
            row["name"]: (row["architecture"], row["n_layers"], row["n_neurons"], row["runs"])
            for row in database.models().to_dicts()
        }
