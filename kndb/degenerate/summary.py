"""Counts the results of a search for degenerate neurons over the requested facts.

The figures come from the database, so they include what earlier calls of the same search found for
these facts. Other facts do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kndb.store.database import connect
from kndb.store.runs import StoredRun
from kndb.store.searches import Key


@dataclass(frozen=True)
class SearchSummary:
    """A search in figures, all limited to the requested facts and languages.

    A *fact-language* is a fact in one of its languages.

    Attributes:
        search_id: id of the search.
        run_id: id of the run.
        model: name of the model.
        asked: the requested facts and languages.
        facts: number of facts searched.
        questions: number of fact-languages searched.
        skipped: number of fact-languages that could not be searched, by reason.
        partly: number of fact-languages in which the budget left sets untried.
        tried: number of sets of two or more neurons tried.
        found: number of degenerate sets, by size.
        carriers: number of fact-languages with at least one degenerate set.
        control: number of random sets tried.
        control_found: number of random sets that meet the criterion.
        new: number of fact-languages searched by this call; 0 if all were already stored.
        seconds: seconds taken by this call.
        workers: fact-languages that each worker has searched in this call, by its name; empty where
            the model ran in this process.
    """

    search_id: int
    run_id: int
    model: str
    asked: frozenset[Key]
    facts: int
    questions: int
    skipped: dict[str, int]
    partly: int
    tried: int
    found: dict[int, int]
    carriers: int
    control: int
    control_found: int
    new: int
    seconds: float
    workers: Mapping[str, int]


_ASKED = (
    "SEMI JOIN (SELECT unnest($facts) AS fact_id, unnest($langs) AS lang) USING (fact_id, lang)"
)
_FIGURES = f"""
    SELECT count(DISTINCT fact_id) FILTER (status = 'done'), count(*) FILTER (status = 'done'),
           count(*) FILTER (contains(reason, 'budget')), count(*) FILTER (n_found > 0),
           coalesce(sum(n_tried), 0), coalesce(sum(n_control), 0),
           coalesce(sum(n_control_found), 0)
    FROM degenerate_fact {_ASKED} WHERE search_id = $search
"""
_SKIPPED = f"""
    SELECT split_part(reason, ' for the prompt ', 1) AS why, count(*) FROM degenerate_fact {_ASKED}
    WHERE search_id = $search AND status = 'skipped'
    GROUP BY why ORDER BY count(*) DESC, why
"""
_FOUND = f"""
    SELECT size, count(*) FROM degenerate_set {_ASKED}
    WHERE search_id = $search AND kind = 'degenerate'
    GROUP BY size ORDER BY size
"""


def summarise_search(
    path: Path,
    search_id: int,
    run: StoredRun,
    asked: frozenset[Key],
    new: int,
    seconds: float,
    workers: Mapping[str, int],
) -> SearchSummary:
    """Summarise a search over the requested facts and languages.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    keys = sorted(asked)
    params = {
        "search": search_id,
        "facts": [fact_id for fact_id, _ in keys],
        "langs": [lang for _, lang in keys],
    }
    with connect(path) as connection:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql, params).fetchall()

        ((facts, questions, partly, carriers, tried, control, control_found),) = rows(_FIGURES)
        return SearchSummary(
            search_id=search_id,
            run_id=run.run_id,
            model=run.model,
            asked=asked,
            facts=facts,
            questions=questions,
            skipped=dict(rows(_SKIPPED)),
            partly=partly,
            tried=int(tried),
            found=dict(rows(_FOUND)),
            carriers=carriers,
            control=int(control),
            control_found=int(control_found),
            new=new,
            seconds=seconds,
            workers=dict(sorted(workers.items())),
        )
