"""Names in a database, for completing them in a shell: read at once or not at all.

Reads at any revision, so that a file is never upgraded because somebody pressed the tab key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from kndb.errors import DatabaseCorrupt
from kndb.store.database import connect_as_it_is

_NAMES: Mapping[str, str] = {
    "models": "SELECT name, architecture FROM model ORDER BY name",
    "runs": """
        WITH known AS (
            SELECT run_id, started_at, run.name,
                   model.name || ' on ' || dataset.name || ', ' || preset AS about
            FROM run JOIN model USING (model_id) JOIN dataset USING (dataset_id)
        )
        SELECT name, about FROM (
            SELECT name, about, 0 AS place, started_at FROM known WHERE name IS NOT NULL
            UNION ALL SELECT run_id::VARCHAR, about, 1, started_at FROM known
        ) ORDER BY place, started_at DESC
    """,
    "searches": """
        SELECT search_id::VARCHAR, model.name FROM degenerate_search
        JOIN run USING (run_id) JOIN model USING (model_id)
        ORDER BY degenerate_search.started_at DESC
    """,
    "relations": r"""
        SELECT relation_id, label FROM relation
        UNION ALL SELECT label, relation_id FROM relation WHERE NOT contains(label, ',')
    """,
    "languages": """
        SELECT lang, count(DISTINCT fact_id) || ' facts' FROM prompt GROUP BY lang ORDER BY lang
    """,
    "tables": """
        SELECT table_name, 'table' FROM duckdb_tables() WHERE table_name <> 'alembic_version'
        UNION ALL SELECT view_name, 'view' FROM duckdb_views() WHERE NOT internal
        ORDER BY ALL
    """,
}


def names_in(path: Path, what: str) -> list[tuple[str, str]]:
    """Names with what they are in a few words.

    Args:
        path: the database.
        what: ``models``, ``runs``, ``searches``, ``relations``, ``languages`` or ``tables``.

    Raises:
        DatabaseError: the file is missing, damaged, or in use; nothing is waited for.
    """
    try:
        with connect_as_it_is(path, wait=0) as connection:
            return connection.execute(_NAMES[what]).fetchall()
    except duckdb.Error as error:
        raise DatabaseCorrupt(f"{path} cannot be read.") from error
