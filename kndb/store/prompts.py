"""Reads the prompts of a run: one row type, and one query with filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from kndb.store.database import connect
from kndb.store.lookup import Names, find_facts
from kndb.store.runs import find_run


class RelationLang(NamedTuple):
    """A relation and a language: what has neurons, thresholds and curves of its own."""

    relation_id: str
    lang: str


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A prompt of a run.

    Attributes:
        prompt_id: its id.
        fact_id: its fact.
        fact_key: relation and subject. Facts of one key differ in their objects.
        relation_id: the fact's relation.
        object_id: the fact's object.
        lang: its language.
        template: a sentence with ``[X]`` for the subject and ``[Y]`` for the object.
        text: the template with the subject filled in and ``[MASK]`` for the answer.
        answer: the object's label in this language.
        done: whether the run attributed it; otherwise it was skipped.
    """

    prompt_id: int
    fact_id: int
    fact_key: str
    relation_id: str
    object_id: str
    lang: str
    template: str
    text: str
    answer: str
    done: bool = True

    @property
    def relation_lang(self) -> RelationLang:
        """Its relation and language."""
        return RelationLang(self.relation_id, self.lang)


_PROMPTS = """
    SELECT prompt_id, fact_id, fact_key, relation_id, object_id, lang, template, text, answer,
           status = 'done'
    FROM prediction JOIN prompt USING (prompt_id) JOIN fact USING (fact_id)
    WHERE run_id = $run AND ($skipped OR status = 'done')
          AND ($relations IS NULL OR list_contains($relations, relation_id)) {narrowed}
    ORDER BY fact_key, fact_id, lang, template, text, prompt_id
"""
# Unlike list_contains, a semi-join lets DuckDB skip blocks of a table without these ids.
_NARROWED = "AND {column} IN (SELECT unnest(${name}::BIGINT[]))"


def prompts_of(
    connection: duckdb.DuckDBPyConnection,
    run_id: int,
    *,
    facts: Iterable[int] | None = None,
    prompts: Iterable[int] | None = None,
    relations: list[str] | None = None,
    skipped: bool = False,
) -> list[StoredPrompt]:
    """The prompts that a run attributed, sorted by fact key, fact, language and template.

    Args:
        connection: to the database.
        run_id: the run.
        facts: ids of facts; all when None.
        prompts: ids of prompts; all when None.
        relations: ids of relations; all when None.
        skipped: include the prompts that the run skipped.
    """
    asked = {"fact_id": facts, "prompt_id": prompts}
    ids = {column: list(values) for column, values in asked.items() if values is not None}
    narrowed = " ".join(_NARROWED.format(column=column, name=column) for column in ids)
    rows = connection.execute(
        _PROMPTS.format(narrowed=narrowed),
        {"run": run_id, "relations": relations, "skipped": skipped, **ids},
    ).fetchall()
    return [StoredPrompt(*row) for row in rows]


def prompts_of_facts(connection: duckdb.DuckDBPyConnection, facts: list[int]) -> list[int]:
    """Ids of all prompts of these facts.

    A query that is given ids as values skips the blocks of a sorted table without them; of a join
    with ``prompt``, DuckDB may choose the wrong side to keep.
    """
    sql = "SELECT prompt_id FROM prompt WHERE fact_id IN (SELECT unnest(?::BIGINT[]))"
    return [prompt for (prompt,) in connection.execute(sql, [facts]).fetchall()]


def fact_in_run(
    connection: duckdb.DuckDBPyConnection, fact: Names, run: str | int
) -> dict[str, Any]:
    """What queries about a fact in a run are given: the ids ``facts``, ``prompts`` and ``run``.

    Raises:
        NotFound: there is no such fact or run.
        UsageError: a name cannot be meant, or ``run`` matches several.
    """
    facts = find_facts(connection, fact)
    prompts = prompts_of_facts(connection, facts)
    return {"facts": facts, "prompts": prompts, "run": find_run(connection, run)}


def read_prompts(path: str | Path, run_id: int) -> list[StoredPrompt]:
    """All prompts that a run attributed; opens the database for this query only.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection:
        return prompts_of(connection, run_id)


def settled_prompts(connection: duckdb.DuckDBPyConnection, run_id: int) -> frozenset[int]:
    """Ids of the prompts that a run has dealt with: attributed, unknown, failed or skipped."""
    rows = connection.execute("SELECT prompt_id FROM prediction WHERE run_id = ?", [run_id])
    return frozenset(prompt_id for (prompt_id,) in rows.fetchall())
