"""Finds facts, relations and models by the names users give, or the nearest matches.

Text is compared without case, accents and punctuation. All SQL is parametrised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.plain import is_text

Names = str | Sequence[str]
"""A name, or several: what matches any of them is meant."""

NEAREST = 5
"""Number of near matches offered when nothing is found."""

# Chinese, Japanese, Thai, Lao, Burmese and Khmer put no spaces between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


def plain(expression: str) -> str:
    """SQL for a text without case, accents and punctuation: ``Côte d'Ivoire`` → ``cote d ivoire``.

    So prompts match with any kind of mask brackets, with or without a final full stop.
    """
    return (
        f"trim(regexp_replace(lower(strip_accents({expression})), '[\\p{{P}}\\p{{S}}\\s]+', "
        f"' ', 'g'))"
    )


_BY_KEY = "SELECT fact_id FROM fact WHERE lower(fact_key) = lower(trim($asked))"

# Comparing every prompt is slow. A prompt contains its subject, and subjects are few, so only
# prompts whose subject occurs in the question are compared. CASE, because the optimiser may reorder
# an AND.
_BY_PROMPT = f"""
    SELECT DISTINCT fact_id FROM prompt
    WHERE CASE WHEN subject IN (
        SELECT subject FROM (SELECT DISTINCT subject FROM prompt)
        WHERE contains({plain("$asked")}, {plain("subject")})
    ) THEN {plain("$asked")} IN (
        {plain("text")},
        {plain("replace(text, '[MASK]', answer)")},
        {plain("replace(text, '[MASK]', '')")}
    ) ELSE false END
"""

_BY_WORDS = f"""
    SELECT DISTINCT fact_id FROM prompt
    WHERE subject IN (
        SELECT subject FROM (SELECT DISTINCT subject FROM prompt)
        WHERE list_has_all(
            string_split({plain("subject")}, ' '), string_split({plain("$asked")}, ' ')
        )
    )
"""

_BY_PART = f"""
    SELECT DISTINCT fact_id FROM prompt
    WHERE subject IN (
        SELECT subject FROM (SELECT DISTINCT subject FROM prompt)
        WHERE contains({plain("subject")}, {plain("$asked")})
    )
"""

# damerau_levenshtein counts bytes, as strlen does.
_NEAREST = f"""
    WITH known AS (
        SELECT subject AS known FROM prompt
        UNION SELECT text FROM prompt
        UNION SELECT fact_key FROM fact
    ), compared AS (
        SELECT known, {plain("known")} AS a, {plain("$asked")} AS b FROM known
    )
    SELECT known FROM compared
    ORDER BY damerau_levenshtein(a, b) / greatest(strlen(a), strlen(b), 1), known
    LIMIT {NEAREST}
"""


def several(asked: Names) -> list[str]:
    """The names, each once.

    >>> several("en"), several(["en", "zh", "en"])
    (['en'], ['en', 'zh'])
    """
    return [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))


def find_facts(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[int]:
    """Ids of the facts that match a key, a prompt in any language, or words of the subject.

    A key is tried first (``P36:Q142``), then a prompt (``The capital of France is [MASK].``, with
    the answer filled in or left out), then words of the subject in any order and any language. If
    the words match several facts, all are returned. In scripts without spaces, part of the subject
    is enough. Of several names, each must match a fact.

    Raises:
        NotFound: nothing matches; the error lists the nearest subjects, keys and prompts.
        UsageError: a name has no letter or digit, or is not valid Unicode.
    """
    return sorted({fact for name in several(asked) for fact in _facts(connection, name)})


def _facts(connection: duckdb.DuckDBPyConnection, asked: str) -> list[int]:
    if not any(character.isalnum() for character in asked) or not is_text(asked):
        raise UsageError(f"{asked!r} is not a fact; give a key, a prompt or words of a subject.")
    by_words = _BY_PART if _UNSPACED.search(asked) else _BY_WORDS
    for sql in (_BY_KEY, _BY_PROMPT, by_words):
        if found := _column(connection, sql, asked):
            return found
    raise NotFound(f"No fact matches {asked!r}.", _column(connection, _NEAREST, asked))


def find_relations(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[str]:
    """Ids of relations, given their ids or labels in any case.

    Raises:
        NotFound: there is no such relation; the error lists those that exist.
    """
    rows = connection.execute("SELECT relation_id, label FROM relation ORDER BY ALL").fetchall()
    found: dict[str, None] = {}
    for name in several(asked):
        ids = [id_ for id_, label in rows if name.lower() in (id_.lower(), label.lower())]
        if not ids:
            known = [f"{id_} ({label})" for id_, label in rows]
            raise NotFound(f"There is no relation {name!r}.", known)
        found |= dict.fromkeys(ids)
    return list(found)


def find_models(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[int]:
    """Ids of the models of these names; without one, of those whose name contains it.

    Raises:
        NotFound: there is no such model; the error lists the names that exist.
    """
    rows = connection.execute("SELECT model_id, name FROM model ORDER BY name").fetchall()
    found: dict[int, None] = {}
    for name in several(asked):
        exact = [model_id for model_id, known in rows if name.lower() == known.lower()]
        ids = exact or [model_id for model_id, known in rows if name.lower() in known.lower()]
        if not ids:
            raise NotFound(f"There is no model {name!r}.", [known for _, known in rows])
        found |= dict.fromkeys(ids)
    return list(found)


def _column(connection: duckdb.DuckDBPyConnection, sql: str, asked: str) -> list[Any]:
    return [value for (value,) in connection.execute(sql, {"asked": asked}).fetchall()]
