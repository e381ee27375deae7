"""Overlap requests: what to compare, resolved to ids. Counts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.facts import content_id
from kndb.store.ids import canonical_json
from kndb.store.lookup import Names, find_facts, find_models, find_relations, several
from kndb.store.refine import check_thresholds
from kndb.store.runs import chosen_runs

OverlapBy = Literal["fact", "relation", "language-pair"]
LEVELS: tuple[OverlapBy, ...] = get_args(OverlapBy)


@dataclass(frozen=True)
class Request:
    """An overlap request, resolved to ids."""

    by: OverlapBy
    runs: list[int]
    langs: tuple[str, ...] | None
    facts: list[int] | None
    relations: list[str] | None
    """Relations, if ``facts`` are all of theirs."""
    tau: float | None
    share: float | None
    asked: dict[str, Any]
    """The request as the user made it, for the column ``settings``."""

    def overlap_id(self, run_id: int) -> int:
        """The id under which the rows of this request and run are stored."""
        return content_id("overlap", run_id, canonical_json(self.asked))


def find_request(
    connection: duckdb.DuckDBPyConnection,
    by: OverlapBy,
    langs: Names | None,
    fact: Names | None,
    relation: Names | None,
    model: Names | None,
    run: str | int | None,
    tau: float | None,
    share: float | None,
) -> Request:
    """Resolve a request; the arguments are those of ``overlap``.

    Raises:
        NotFound: there is no such fact, relation, model or run, or no finished run.
        UsageError: a value is out of range, or fewer than two languages are given.
    """
    check_thresholds(tau, share)
    if by not in LEVELS:
        raise UsageError(f"Overlaps cannot be summed by {by!r}; use {', '.join(LEVELS)}.")
    chosen = None if not langs else tuple(sorted({lang.strip().lower() for lang in several(langs)}))
    if chosen is not None and len(chosen) < 2:
        raise UsageError(f"{chosen[0]!r} is one language; give two or more to compare.")
    relations = None if relation is None else find_relations(connection, relation)
    models = None if model is None else find_models(connection, model)
    return Request(
        by=by,
        runs=chosen_runs(connection, run, models),
        langs=chosen,
        facts=_facts(connection, fact, relations),
        relations=relations if fact is None else None,
        tau=tau,
        share=share,
        asked={
            "by": by,
            "langs": chosen,
            "fact": _one_or_all(fact),
            "relation": _one_or_all(relations),
            "tau": tau,
            "share": share,
        },
    )


def _facts(
    connection: duckdb.DuckDBPyConnection, fact: Names | None, relations: list[str] | None
) -> list[int] | None:
    """Ids of the selected facts; None for all."""
    if fact is None and relations is None:
        return None
    rows = connection.execute(
        "SELECT fact_id FROM fact "
        "WHERE ($relations IS NULL OR list_contains($relations, relation_id)) "
        "AND ($facts IS NULL OR list_contains($facts, fact_id))",
        {
            "relations": relations,
            "facts": None if fact is None else find_facts(connection, fact),
        },
    ).fetchall()
    if not rows:
        of = ", ".join(relations or [])
        raise NotFound(f"No fact of the relation {of} matches {fact!r}.")
    return [fact_id for (fact_id,) in rows]


def _one_or_all(names: Names | None) -> str | list[str] | None:
    """One name by itself, as it was stored before there could be several."""
    if names is None:
        return None
    found = several(names)
    return found[0] if len(found) == 1 else sorted(found)
