"""Compares what users type with the names in a database: without case, accents and punctuation.

Reads only. All SQL is parametrised.
"""

from __future__ import annotations

from typing import Any

import duckdb

from kndb.errors import UsageError
from kndb.plain import is_text
from kndb.store.letters import letters, plain

NEAREST = 5
"""Number of near matches offered when nothing is found."""

# Chinese, Japanese, Thai, Lao, Burmese and Khmer put no spaces between words. A pattern of these
# would take 3 ms to compile.
_UNSPACED = (
    *(("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff")),
    *(("\u3400", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff")),
)


_BY_KEY = "SELECT fact_id FROM fact WHERE lower(fact_key) = lower(trim($key))"

# Words match in any order; in scripts without spaces, a part is enough. Most labels do not contain
# the longest word, and need not be split.
_BY_LABEL = """
    SELECT DISTINCT fact_id, plain_{column} = $plain FROM prompt
    WHERE contains(plain_{column}, $word) AND {matches} ORDER BY fact_id
"""
_WORDS = "list_has_all(string_split(plain_{column}, ' '), string_split($plain, ' '))"
_PART = "contains(plain_{column}, $plain)"

# Comparing every prompt is slow. A prompt contains its subject, so only prompts whose subject is
# in the question are compared. CASE, because the optimiser may reorder an AND.
_BY_PROMPT = f"""
    SELECT DISTINCT fact_id FROM prompt
    WHERE CASE WHEN contains($plain, plain_subject)
    THEN list_contains(list_transform(
        [text, replace(text, '[MASK]', answer), replace(text, '[MASK]', '')],
        lambda form: {plain("form")}
    ), $plain)
    ELSE false END
    ORDER BY fact_id
"""

# damerau_levenshtein takes some eighty times as long as the two similarities, and a plain form ten
# times: so only what these find most alike is compared. jaro_similarity minds the order of letters,
# but not those that moved far; jaccard which there are, and takes no empty text. All count bytes,
# as strlen does. What is more than twice as long is not near, whatever its punctuation.
_NEAREST = """
    WITH known AS (
        SELECT known FROM ({known})
        WHERE length(known) <= 2 * strlen($plain) + 8 AND 2 * strlen(known) >= strlen($plain)
        ORDER BY jaro_similarity(form, $plain)
            + jaccard(form || ' ', $plain || ' ') DESC, known
        LIMIT {compared}
    ),
    compared AS (SELECT DISTINCT known, {plain} AS a, $plain AS b FROM known),
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

FACT_NAMES = f"""
    SELECT DISTINCT subject AS known, plain_subject AS form FROM prompt
    UNION ALL SELECT text, {letters("text")} FROM prompt
    UNION ALL SELECT fact_key, {letters("fact_key")} FROM fact
"""
ANSWERS = "SELECT DISTINCT answer AS known, plain_answer AS form FROM prompt"


class Asked:
    """A name that somebody gave, compared with those of a database.

    Raises:
        UsageError: it has no letter or digit, or is not valid Unicode.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, typed: str) -> None:
        if not any(character.isalnum() for character in typed) or not is_text(typed):
            raise UsageError(
                f"{typed!r} is not a fact; give a key, a prompt or words of a subject."
            )
        self.typed = typed
        self._connection = connection
        (self._plain,) = self._values(f"SELECT {plain('$typed')}", typed=typed)

    def by_key(self) -> list[int]:
        """The facts of this key."""
        return self._values(_BY_KEY, key=self.typed)

    def by_prompt(self) -> list[int]:
        """The facts that this prompt states, with the answer filled in, left out or masked."""
        return self._values(_BY_PROMPT, plain=self._plain)

    def by_label(self, column: str) -> tuple[list[int], list[int]]:
        """The facts whose ``subject`` or ``answer`` is this, and others that have its words."""
        matches = _PART if _is_unspaced(self.typed) else _WORDS
        sql = _BY_LABEL.format(column=column, matches=matches.format(column=column))
        asked = {"plain": self._plain, "word": max(self._plain.split(" "), key=len)}
        rows = self._connection.execute(sql, asked).fetchall()
        exact = [fact for fact, is_exact in rows if is_exact]
        return exact, sorted({fact for fact, _ in rows} - {*exact})

    def nearest(self, known: str) -> list[str]:
        """The names most like this, of those that a query has; none if all are far from it.

        The query selects names as ``known``, and each without case and accents as ``form``.
        """
        sql = _NEAREST.format(
            known=known,
            compared=_COMPARED,
            plain=plain("known"),
            limit=_NEAR,
            count=NEAREST,
        )
        return self._values(sql, plain=self._plain)

    def _values(self, sql: str, **values: Any) -> list[Any]:
        return [value for (value,) in self._connection.execute(sql, values).fetchall()]


def _is_unspaced(text: str) -> bool:
    return any(first <= character <= last for character in text for first, last in _UNSPACED)
