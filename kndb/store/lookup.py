"""Finds facts, relations and models by the names users give, or the nearest matches.

How text is compared says ``matching``. All SQL is parametrised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.notes import note
from kndb.store.matching import ANSWERS, FACT_NAMES, NEAREST, Asked

Names = str | Sequence[str]
"""A name, or several: what matches any of them is meant."""

_OF_RELATION = """
    SELECT fact_id FROM fact JOIN relation USING (relation_id)
    WHERE lower(relation_id) = lower(?) OR lower(label) = lower(?)
"""


def several(asked: Names) -> list[str]:
    """The names, each once.

    >>> several("en"), several(["en", "zh", "en"])
    (['en'], ['en', 'zh'])

    Raises:
        UsageError: one is not text.
    """
    many = isinstance(asked, Iterable) and not isinstance(asked, str)
    every = list(dict.fromkeys(asked)) if many else [asked]
    for name in every:
        if not isinstance(name, str):
            raise UsageError(f"{name!r:.40} is not a name; give text, or several in a list.")
    return every  # type: ignore[return-value]


def find_facts(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[int]:
    """Ids of the facts that match a key, a prompt in any language, or words of the subject.

    A key is tried first (``P36:Q142``, ``capital:France``), then a prompt (``The capital of France
    is [MASK].``, with the answer filled in or left out), then the whole subject, then words of it
    in any order, in any language. If these match several facts, all are returned. In scripts
    without spaces, part of the subject is enough. Of several names, each must match a fact.

    Raises:
        NotFound: nothing matches; the error lists the nearest subjects, keys and prompts, or the
            facts of which this is the answer.
        UsageError: a name has no letter or digit, or is not valid Unicode.
    """
    return sorted({fact for name in several(asked) for fact in _facts(connection, name)})


def _facts(connection: duckdb.DuckDBPyConnection, name: str) -> list[int]:
    asked = Asked(connection, name)
    if found := _by_key_or_prompt(connection, asked):
        return found
    exact, others = asked.by_label("subject")
    if exact and others:
        n = len(others)
        more = "Another fact has" if n == 1 else f"{n:,} other facts have"
        note(f"{more} these words in the subject; `kndb facts {name!r}` lists all.")
    if found := exact or others:
        return found
    answered = [fact for facts in asked.by_label("answer") for fact in facts]
    if answered:
        raise NotFound(
            f"{name!r} is the answer of {_named(connection, answered)}; ask by --answer."
        )
    raise NotFound(f"No fact matches {name!r}.", asked.nearest(FACT_NAMES))


def find_answers(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[int]:
    """Ids of the facts with this answer in any language, or else with these words in it.

    Raises:
        NotFound: nothing matches; the error lists the nearest answers.
        UsageError: a name has no letter or digit, or is not valid Unicode.
    """
    found: set[int] = set()
    for name in several(asked):
        one = Asked(connection, name)
        exact, others = one.by_label("answer")
        if not (exact or others):
            raise NotFound(f"No fact has the answer {name!r}.", one.nearest(ANSWERS))
        found.update(exact or others)
    return sorted(found)


def facts_by_words(connection: duckdb.DuckDBPyConnection, words: str) -> list[int]:
    """Ids of all facts with these words in subject or answer, exact matches first.

    A key or a prompt finds its fact.

    Raises:
        NotFound: nothing matches; the error lists the nearest subjects, keys and prompts.
        UsageError: there is no letter or digit, or it is not valid Unicode.
    """
    asked = Asked(connection, words)
    if found := _by_key_or_prompt(connection, asked):
        return found
    exact, others = asked.by_label("subject")
    exact_answers, other_answers = asked.by_label("answer")
    if found := list(dict.fromkeys([*exact, *exact_answers, *others, *other_answers])):
        return found
    raise NotFound(f"No fact matches {words!r}.", asked.nearest(FACT_NAMES))


def _by_key_or_prompt(connection: duckdb.DuckDBPyConnection, asked: Asked) -> list[int]:
    return asked.by_key() or _by_typed_key(connection, asked.typed) or asked.by_prompt()


def _by_typed_key(connection: duckdb.DuckDBPyConnection, asked: str) -> list[int]:
    """The facts of a key as people type it: ``P36:France``, ``capital:France``."""
    relation, colon, subject = asked.partition(":")
    known = connection.execute(_OF_RELATION, [relation.strip()] * 2).fetchall() if colon else []
    if not known or not any(map(str.isalnum, subject)):
        return []
    exact, others = Asked(connection, subject).by_label("subject")
    of_relation = {fact for (fact,) in known}
    return [fact for fact in exact if fact in of_relation] or [
        fact for fact in others if fact in of_relation
    ]


def _named(connection: duckdb.DuckDBPyConnection, facts: list[int]) -> str:
    """The first facts by key, relation and subject, for a sentence."""
    rows = connection.execute(
        "SELECT fact_key, label, arg_min(subject, (lang <> 'en', lang)) "
        "FROM fact JOIN relation USING (relation_id) JOIN prompt USING (fact_id) "
        "WHERE list_contains(?, fact_id) GROUP BY fact_id, fact_key, label ORDER BY fact_key",
        [facts],
    ).fetchall()
    names = [f"{key} ({label}: {subject})" for key, label, subject in rows]
    more = len(names) - NEAREST
    return ", ".join(names[:NEAREST]) + (f" and {more} more" if more > 0 else "")


def find_relations(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[str]:
    """Ids of relations, given their ids or labels in any case, also several with commas.

    Raises:
        NotFound: there is no such relation; the error lists those that exist.
    """
    rows = connection.execute("SELECT relation_id, label FROM relation ORDER BY ALL").fetchall()
    found: dict[str, None] = {}
    every = {name.lower() for row in rows for name in row}
    # A label may have commas: "languages spoken, written or signed".
    names = [
        part.strip()
        for name in several(asked)
        for part in ([name] if name.lower() in every else name.split(","))
    ]
    for name in names:
        ids = [id_ for id_, label in rows if name.lower() in (id_.lower(), label.lower())]
        if not ids:
            known = {one: f"{id_} ({label})" for id_, label in rows for one in (id_, label)}
            raise NotFound.among(
                f"There is no relation {name!r}.", [name], known, "Relations that there are"
            )
        found |= dict.fromkeys(ids)
    return list(found)


def model_name(asked: str) -> str:
    """The name under which a model is stored: of a folder, the last part of its path."""
    try:
        return Path(asked).resolve().name if Path(asked).is_dir() else asked
    except OSError:  # too long for the name of a file
        return asked


def find_models(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[int]:
    """Ids of the models of these names; without one, of those whose name contains it.

    Raises:
        NotFound: there is no such model; the error lists the names that exist.
    """
    rows = connection.execute("SELECT model_id, name FROM model ORDER BY name").fetchall()
    found: dict[int, None] = {}
    for name in map(model_name, several(asked)):
        exact = [model_id for model_id, known in rows if name.lower() == known.lower()]
        ids = exact or [model_id for model_id, known in rows if name.lower() in known.lower()]
        if not ids:
            raise NotFound.among(
                f"There is no model {name!r}.",
                [name],
                [known for _, known in rows],
                "Models that there are",
            )
        found |= dict.fromkeys(ids)
    return list(found)
