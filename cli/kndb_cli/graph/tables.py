"""Lays out the rows of ``kndb graph groups`` and ``measures`` as tables.

Imported only when a table is printed.
"""

from __future__ import annotations

from rich.console import RenderableType

from kndb_cli.output.rows import Rows
from kndb_cli.output.run_tables import run_tables

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
    """A table for the rows of one run."""
    return run_tables(found, _HEADS)
