"""Finds facts, relations and models by the names users give, or the nearest matches.

Text is compared without case, accents and punctuation. All SQL is parametrised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.notes import note
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

    So prompts match with any kind of mask brackets, with or without a final full stop. In English
    words with a space between nothing has to be replaced, and seeing that is a fifth of the work.
    """
    letters = _letters(expression)
    return (
        f"CASE WHEN regexp_full_match({letters}, '[a-z0-9]+( [a-z0-9]+)*') THEN {letters} "
        f"ELSE trim(regexp_replace({letters}, '[\\p{{P}}\\p{{S}}\\s]+', ' ', 'g')) END"
    )


def _letters(expression: str) -> str:
    return f"lower(strip_accents({expression}))"


_OF_RELATION = """
    SELECT fact_id FROM fact JOIN relation USING (relation_id)
    WHERE lower(relation_id) = lower(?) OR lower(label) = lower(?)
"""

_BY_KEY = "SELECT fact_id FROM fact WHERE lower(fact_key) = lower(trim($asked))"

# Comparing every prompt is slow. A prompt contains its subject, and subjects are few, so only
# prompts whose subject occurs in the question are compared. CASE, because the optimiser may reorder
# an AND.
_BY_PROMPT = f"""
    SELECT DISTINCT fact_id FROM prompt
    WHERE CASE WHEN subject IN (
        SELECT subject FROM (SELECT DISTINCT subject FROM prompt)
        WHERE contains($plain, {plain("subject")})
    ) THEN list_contains(list_transform(
        [text, replace(text, '[MASK]', answer), replace(text, '[MASK]', '')],
        lambda form: {plain("form")}
    ), $plain) ELSE false END
"""

# Distinct labels are few, so every one is compared. Words match in any order; in scripts without
# spaces, a part is enough.
_BY_LABEL = """
    WITH label AS (
        SELECT label, plain = $plain AS exact FROM (
            SELECT label, {plain} AS plain
            FROM (SELECT DISTINCT {column} AS label FROM prompt)
        ) WHERE {matches}
    )
    SELECT fact_id, bool_or(exact) FROM prompt JOIN label ON label = {column}
    GROUP BY fact_id ORDER BY fact_id
"""
_WORDS = "list_has_all(string_split(plain, ' '), string_split($plain, ' '))"
_PART = "contains(plain, $plain)"


# damerau_levenshtein takes some eighty times as long as the two similarities, and a plain form ten
# times: so only what these find most alike is compared. jaro_similarity minds the order of letters,
# but not those that moved far; jaccard which there are, and takes no empty text. All count bytes,
# as strlen does. What is more than twice as long is not near, whatever its punctuation.
_NEAREST = """
    WITH known AS (
        SELECT known FROM ({known})
        WHERE length(known) <= 2 * strlen($plain) + 20 AND 2 * strlen(known) >= strlen($plain)
        ORDER BY jaro_similarity({letters}, $plain)
            + jaccard({letters} || ' ', $plain || ' ') DESC, known
        LIMIT {compared}
    ),
    compared AS (SELECT known, {plain} AS a, $plain AS b FROM known),
    alike AS (
        SELECT known, a, b, greatest(strlen(a), strlen(b), 1) AS longer FROM compared
        WHERE greatest(strlen(a), strlen(b)) <= 2 * least(strlen(a), strlen(b))
    ),
    far AS (SELECT known, damerau_levenshtein(a, b) / longer AS far FROM alike)
    SELECT known FROM far WHERE far <= {limit} ORDER BY far, known LIMIT {count}
"""
_COMPARED = 500
"""Names whose letters are compared with a question's."""

_NEAR = 0.5
"""What differs in more than this share of its letters is not near."""

_FACT_NAMES = """
    SELECT subject AS known FROM prompt
    UNION SELECT text FROM prompt
    UNION SELECT fact_key FROM fact
"""
_ANSWERS = "SELECT DISTINCT answer AS known FROM prompt"


def _nearest(connection: duckdb.DuckDBPyConnection, known: str, asked: _Name) -> list[str]:
    sql = _NEAREST.format(
        known=known,
        letters=_letters("known"),
        compared=_COMPARED,
        plain=plain("known"),
        limit=_NEAR,
        count=NEAREST,
    )
    return _column(connection, sql, plain=asked.plain)


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
    asked = _read(connection, name)
    if found := _by_key_or_prompt(connection, asked):
        return found
    exact, others = _labelled(connection, "subject", asked)
    if exact and others:
        n = len(others)
        more = "Another fact has" if n == 1 else f"{n:,} other facts have"
        note(f"{more} these words in the subject; `kndb facts {name!r}` lists all.")
    if found := exact or others:
        return found
    answered = [fact for facts in _labelled(connection, "answer", asked) for fact in facts]
    if answered:
        raise NotFound(
            f"{name!r} is the answer of {_named(connection, answered)}; ask by --answer."
        )
    raise NotFound(f"No fact matches {name!r}.", _nearest(connection, _FACT_NAMES, asked))


def find_answers(connection: duckdb.DuckDBPyConnection, asked: Names) -> list[int]:
    """Ids of the facts with this answer in any language, or else with these words in it.

    Raises:
        NotFound: nothing matches; the error lists the nearest answers.
        UsageError: a name has no letter or digit, or is not valid Unicode.
    """
    found: set[int] = set()
    for name in several(asked):
        read = _read(connection, name)
        exact, others = _labelled(connection, "answer", read)
        if not (exact or others):
            near = _nearest(connection, _ANSWERS, read)
            raise NotFound(f"No fact has the answer {name!r}.", near)
        found.update(exact or others)
    return sorted(found)


def facts_by_words(connection: duckdb.DuckDBPyConnection, words: str) -> list[int]:
    """Ids of all facts with these words in subject or answer, exact matches first.

    A key or a prompt finds its fact.

    Raises:
        NotFound: nothing matches; the error lists the nearest subjects, keys and prompts.
        UsageError: there is no letter or digit, or it is not valid Unicode.
    """
    asked = _read(connection, words)
    if found := _by_key_or_prompt(connection, asked):
        return found
    exact, others = _labelled(connection, "subject", asked)
    exact_answers, other_answers = _labelled(connection, "answer", asked)
    if found := list(dict.fromkeys([*exact, *exact_answers, *others, *other_answers])):
        return found
    raise NotFound(f"No fact matches {words!r}.", _nearest(connection, _FACT_NAMES, asked))


@dataclass(frozen=True)
class _Name:
    """What is asked for, as it was typed and in its plain form."""

    typed: str
    plain: str


def _read(connection: duckdb.DuckDBPyConnection, asked: str) -> _Name:
    if not any(character.isalnum() for character in asked) or not is_text(asked):
        raise UsageError(f"{asked!r} is not a fact; give a key, a prompt or words of a subject.")
    (found,) = _column(connection, f"SELECT {plain('$asked')}", asked=asked)
    return _Name(asked, found)


def _by_key_or_prompt(connection: duckdb.DuckDBPyConnection, asked: _Name) -> list[int]:
    return (
        _column(connection, _BY_KEY, asked=asked.typed)
        or _by_typed_key(connection, asked.typed)
        or _column(connection, _BY_PROMPT, plain=asked.plain)
    )


def _by_typed_key(connection: duckdb.DuckDBPyConnection, asked: str) -> list[int]:
    """The facts of a key as people type it: ``P36:France``, ``capital:France``."""
    relation, colon, subject = asked.partition(":")
    known = connection.execute(_OF_RELATION, [relation.strip()] * 2).fetchall() if colon else []
    if not known or not any(map(str.isalnum, subject)):
        return []
    exact, others = _labelled(connection, "subject", _read(connection, subject))
    of_relation = {fact for (fact,) in known}
    return [fact for fact in exact if fact in of_relation] or [
        fact for fact in others if fact in of_relation
    ]


def _labelled(
    connection: duckdb.DuckDBPyConnection, column: str, asked: _Name
) -> tuple[list[int], list[int]]:
    """The facts whose ``subject`` or ``answer`` is this, and those that have its words in it."""
    matches = _PART if _UNSPACED.search(asked.typed) else _WORDS
    sql = _BY_LABEL.format(column=column, plain=plain("label"), matches=matches)
    rows = connection.execute(sql, {"plain": asked.plain}).fetchall()
    return [fact for fact, exact in rows if exact], [fact for fact, exact in rows if not exact]


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


def _column(connection: duckdb.DuckDBPyConnection, sql: str, **values: str) -> list[Any]:
    return [value for (value,) in connection.execute(sql, values).fetchall()]
