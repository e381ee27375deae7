"""Completes what somebody types: subjects, answers, keys and relations. Reads only."""

from __future__ import annotations

import duckdb

from kndb.store.matching import plain
from kndb.store.result import Result

_SUGGESTIONS = f"""
    WITH known AS (
        SELECT 'subject' AS kind, subject AS name, count(DISTINCT fact_id) AS n
        FROM prompt GROUP BY subject
        UNION ALL SELECT 'answer', answer, count(DISTINCT fact_id) FROM prompt GROUP BY answer
        UNION ALL SELECT 'relation', label, 0 FROM relation
        UNION ALL SELECT 'relation', relation_id, 0 FROM relation WHERE relation_id <> label
        UNION ALL SELECT 'fact', fact_key, count(*) FROM fact GROUP BY fact_key
    ),
    typed AS (SELECT {plain("$typed")} AS typed),
    near AS (
        SELECT kind, name, n, {plain("name")} AS name_plain, typed
        FROM known, typed
        WHERE contains(lower(strip_accents(name)), lower(strip_accents($first)))
    )
    SELECT kind, name, n AS facts FROM near
    WHERE typed <> '' AND contains(name_plain, typed)
    ORDER BY NOT starts_with(name_plain, typed), kind = 'fact', length(name), n DESC, name, kind
    LIMIT $limit
"""


def suggest(connection: duckdb.DuckDBPyConnection, typed: str, limit: int) -> Result:
    """``kind, name, facts``: what contains ``typed``; what begins with it comes first.

    Names are compared without case, accents and punctuation. ``kind`` is ``subject``, ``answer``,
    ``relation`` or ``fact`` (a key), and ``facts`` the number of facts with that label.
    """
    # The longest word alone throws out most names before the slower comparison.
    words = "".join(c if c.isalnum() else " " for c in typed).split()
    if not words:
        return Result(("kind", "name", "facts"), ("VARCHAR", "VARCHAR", "BIGINT"), [])
    asked = {"typed": typed, "first": max(words, key=len), "limit": limit}
    return Result.read(connection.execute(_SUGGESTIONS, asked))
