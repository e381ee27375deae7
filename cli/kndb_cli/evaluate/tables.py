"""``kndb evaluate crosslingual`` and ``degenerate``: the paper's tables, from stored rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kndb.evaluation.readable import readable
from kndb.evaluation.table import ALL
from kndb_cli import options
from kndb_cli.options.evaluation import Replicates, Seed
from kndb_cli.options.graph import Search
from kndb_cli.output import Output, choose, emit
from kndb_cli.output.rows import Listing
from kndb_cli.output.terminal import note, styled, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kndb.evaluation.table import Table
    from kndb_cli.output.rows import Rows

Crosslingual = Literal["pairs", "relations", "languages", "layers", "edits", "edit-languages"]
Degenerate = Literal["rates", "sizes", "layers"]


def crosslingual(
    table: Annotated[
        Crosslingual | None,
        typer.Option(
            metavar="TABLE",
            help="pairs, relations, languages, layers, edits or edit-languages. "
            "Default: all in a terminal, else pairs.",
        ),
    ] = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Compare what a fact's languages share with chance, and show what edits carry over.

    kndb evaluate crosslingual --model demo-causal
    kndb evaluate crosslingual --model demo-causal --table relations -o relations.csv

    Uses stored rows; no model runs. Intervals are 95 % bootstrap intervals over facts.
    """
    target = choose(format, json, output, quiet)
    # Deferred: NumPy and Arrow take 0.2 s to import and --help does not need them.
    from kndb.evaluation.crosslingual import tables as evaluation
    from kndb.evaluation.stored import StoredRequest

    found = evaluation.evaluate(StoredRequest(db, model, run, replicates, seed))
    show(found, table and f"crosslingual-{table}", target)


def degenerate(
    table: Annotated[
        Degenerate | None,
        typer.Option(
            metavar="TABLE",
            help="rates, sizes or layers. Default: all in a terminal, else rates.",
        ),
    ] = None,
    model: options.ModelName = None,
    run: options.RunId = None,
    search: Search = None,
    replicates: Replicates = 1000,
    seed: Seed = 0,
    db: options.Database = options.DATABASE,
    format: options.FormatOption = None,
    json: options.Json = False,
    output: options.Out = None,
    quiet: options.Quiet = False,
) -> None:
    """Count facts with degenerate sets, and compare their effect with that of random sets.

    kndb evaluate degenerate --model demo-causal
    kndb evaluate degenerate --model demo-causal --table sizes --json

    Uses what 'kndb graph degenerate' has stored; no model runs. Intervals are 95 % bootstrap
    intervals over facts.
    """
    target = choose(format, json, output, quiet)
    # Deferred: NumPy takes 0.1 s to import and --help does not need it.
    from kndb.evaluation import degenerate as evaluation
    from kndb.evaluation.stored import StoredRequest

    found = evaluation.evaluate(StoredRequest(db, model, run, replicates, seed, search))
    show(found, table and f"degenerate-{table}", target)


def show(tables: Sequence[Table], name: str | None, target: Output) -> None:
    """Write the table of this name; without a name, all in a terminal, else the first.

    Notes go to standard error.
    """
    chosen = [table for table in tables if name in (None, table.name)]
    several = target.path is None and target.format == "table"
    for table in chosen if several else chosen[:1]:
        if several and len(chosen) > 1:
            print(f"\n{styled(visible(table.title), 'bold', sys.stdout)}", flush=True)
        if table.rows or not several:
            emit(Listing(table.columns, [tuple(row) for row in table.rows]), target, _layout(table))
        shown = readable(table).notes if target.format == "table" else []
        for sentence in [*table.notes, *shown]:
            note(sentence, target.quiet)
    if not several and (others := chosen[1:]):
        names = ", ".join(table.name.partition("-")[2] for table in others)
        note(f"Other tables: --table {names}.", target.quiet)


def overall(table: Table, columns: Sequence[str]) -> Table:
    """Only the rows over all relations and languages, and these columns with their intervals.

    A full table may have 34 columns, and a row for each relation and language.
    """
    at = {name: place for place, name in enumerate(table.columns)}
    ends = [f"{name}{end}" for name in columns for end in ("", "_low", "_high")]
    kept = [name for name in ends if name in at]
    groups = [at[name] for name in ("relation", "lang") if name in at]
    whole = [row for row in table.rows if all(row[place] == ALL for place in groups)]
    return replace(table, columns=kept, rows=[[row[at[name]] for name in kept] for row in whole])


def _layout(table: Table) -> Callable[[Rows], RenderableType]:
    def layout(_: Rows) -> RenderableType:
        # Deferred: only a table needs Rich, which takes 0.05 s to import.
        from kndb_cli.evaluate.estimates_table import Estimates

        return Estimates(table)

    return layout
