"""The short ways of the lookup find what the long ones find."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import duckdb
import pytest

from kndb.store.letters import plain
from kndb.store.matching import Asked
from kndb_ingest.demo import facts_path

LETTERS = "aeioulrnst"
COMPARED_WITH_ALL = f"""
    WITH pair AS (
        SELECT known, a, b, greatest(strlen(a), strlen(b), 1) AS longer
        FROM name, (SELECT {plain("$asked")} AS b)
    )
    SELECT known, damerau_levenshtein(a, b) / longer FROM pair
    WHERE damerau_levenshtein(a, b) <= 0.5 * longer AND longer <= 2 * least(strlen(a), strlen(b))
"""


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def test_the_nearest_of_many_are_those_of_comparing_all(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    facts = [json.loads(line) for line in facts_path().read_text().splitlines()]
    subjects = {fact["subject"] for fact in facts}
    prompts = {
        fact["template"].replace("[X]", fact["subject"]).replace("[Y]", "[MASK]") for fact in facts
    }
    connection.execute(
        "CREATE TEMP TABLE name AS SELECT unnest(?::VARCHAR[]) AS known, '' AS a",
        [sorted(subjects | prompts)],
    )
    connection.execute(f"UPDATE name SET a = {plain('known')}")
    choose = random.Random(0)
    typed = [mistyped(name, choose) for name in choose.sample(sorted(subjects), 25)]
    typed += [mistyped(name, choose) for name in choose.sample(sorted(prompts), 8)]
    for asked in filter(str.strip, typed):
        ranked = connection.execute(COMPARED_WITH_ALL, {"asked": asked}).fetchall()
        found = Asked(connection, asked).nearest("SELECT known, a AS form FROM name")
        # Which of those that are equally far is chosen does not matter.
        nearest = min((far for _, far in ranked), default=None)
        assert dict(ranked).get(next(iter(found), "")) == nearest, asked


def mistyped(name: str, choose: random.Random) -> str:
    """The name with one or two letters left out, put in, changed or swapped."""
    for _ in range(choose.randint(1, 2)):
        at = choose.randrange(max(len(name) - 1, 1))
        letter = choose.choice(LETTERS)
        name = choose.choice(
            (
                name[:at] + name[at + 1 :],
                name[:at] + letter + name[at:],
                name[:at] + letter + name[at + 1 :],
                name[:at] + name[at : at + 2][::-1] + name[at + 2 :],
            )
        )
    return name
