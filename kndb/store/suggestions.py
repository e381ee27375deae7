"""Completes what somebody types: subjects, answers, keys and relations. Reads only."""

from __future__ import annotations

import duckdb

from kndb.store.letters import letters, plain
from kndb.store.result import Result

_SUGGESTIONS = f"""
    WITH typed AS (SELECT {plain("$typed")} AS typed),
    named AS (
        SELECT 'relation' AS kind, label AS name, 0 AS n FROM relation
        UNION ALL SELECT 'relation', relation_id, 0 FROM relation WHERE relation_id <> label
        UNION ALL SELECT 'fact', fact_key, count(*) FROM fact
        WHERE contains({letters("fact_key")}, {letters("$first")}) GROUP BY fact_key
    ),
    known AS (
        SELECT 'subject' AS kind, subject AS name, plain_subject AS plain,
               count(DISTINCT fact_id) AS n
        FROM prompt, typed WHERE contains(plain_subject, typed) GROUP BY ALL
        UNION ALL
        SELECT 'answer', answer, plain_answer, count(DISTINCT fact_id)
        FROM prompt, typed WHERE contains(plain_answer, typed) GROUP BY ALL
        UNION ALL SELECT kind, name, {plain("name")}, n FROM named
    )
    SELECT kind, name, n AS facts FROM known, typed
    WHERE typed <> '' AND contains(plain, typed)
    ORDER BY NOT starts_with(plain, typed), kind = 'fact', length(name), n DESC, name, kind
    LIMIT $limit
"""


def suggest(connection: duckdb.DuckDBPyConnection, typed: str, limit: int) -> Result:
    """``kind, name, facts``: what contains ``typed``; what begins with it comes first.

    Names are compared without case, accents and punctuation. ``kind`` is ``subject``, ``answer``,
    ``relation`` or ``fact`` (a key), and ``facts`` the number of facts with that label.
    """
    # The longest word alone throws out most keys before the slower comparison.
    words = "".join(c if c.isalnum() else " " for c in typed).split()
    if not words:
        return Result(("kind", "name", "facts"), ("VARCHAR", "VARCHAR", "BIGINT"), [])
    asked = {"typed": typed, "first": max(words, key=len), "limit": limit}
    return Result.read(connection.execute(_SUGGESTIONS, asked))
