"""Lays out the rows of ``kndb graph groups`` and ``measures`` as tables.

Imported only when a table is printed.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from kndb_cli.output.fitting import generic
from kndb_cli.output.rows import Listing, Rows

_HEADS = {
    "fact_key": "fact",
    "relation_id": "id",
    "n_facts": "facts",
    "n_relations": "relations",
    "n_langs": "langs",
    "n_degenerate": "degenerate",
    "bridges_relations": "bridges relations",
    "bridges_langs": "bridges langs",
    "n_pairs": "pairs",
    "n_cliques": "cliques",
    "largest_clique": "largest clique",
    "mean_drop": "mean drop",
}


def run_table(found: Rows) -> RenderableType:
    """A table for the rows of one run. Model and run id, the last two columns, become its title."""
    model, run = found.rows()[0][-2:]
    title = Text.assemble((model, "bold cyan"), (f"  run {run}", "dim"))
    heads = tuple(_HEADS.get(name, name) for name in found.columns[:-2])
    return Group(title, generic(Listing(heads, [row[:-2] for row in found.rows()])))
