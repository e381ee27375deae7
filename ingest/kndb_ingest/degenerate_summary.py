"""What a search for degenerate neurons holds, counted in the database, earlier calls included."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kndb.store.database import connect
from kndb.store.searches import Key, RunToSearch


@dataclass(frozen=True)
class SearchSummary:
    """A search in figures.

    Attributes:
        search_id: its id.
        run_id: the run's.
        model: the model's name.
        facts: facts searched.
        questions: facts in their languages searched.
        skipped: by reason, facts in their languages that could not be searched.
        partly: facts in their languages in which the budget left sets untried.
        tried: sets of at least two neurons tried.
        found: by size, degenerate sets.
        carriers: facts in their languages with at least one degenerate set.
        control: random sets tried.
        control_found: those that met the criterion.
        new: facts in their languages that this call worked on; 0 where all had been there.
        seconds: this call took.
        asked: the facts and languages that this call was about.
    """

    search_id: int
    run_id: int
    model: str
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
    asked: frozenset[Key]


_FIGURES = """
    SELECT count(DISTINCT fact_id) FILTER (status = 'done'), count(*) FILTER (status = 'done'),
           count(*) FILTER (contains(reason, 'budget')), count(*) FILTER (n_found > 0),
           coalesce(sum(n_tried), 0), coalesce(sum(n_control), 0),
           coalesce(sum(n_control_found), 0)
    FROM degenerate_fact WHERE search_id = ?
"""
_SKIPPED = """
    SELECT reason, count(*) FROM degenerate_fact
    WHERE search_id = ? AND status = 'skipped'
    GROUP BY reason ORDER BY count(*) DESC, reason
"""
_FOUND = """
    SELECT size, count(*) FROM degenerate_set
    WHERE search_id = ? AND kind = 'degenerate'
    GROUP BY size ORDER BY size
"""


def summarise_search(
    path: Path, search_id: int, run: RunToSearch, asked: frozenset[Key], new: int, seconds: float
) -> SearchSummary:
    """Count what a search holds.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql, [search_id]).fetchall()

        ((facts, questions, partly, carriers, tried, control, control_found),) = rows(_FIGURES)
        return SearchSummary(
            search_id=search_id,
            run_id=run.run_id,
            model=run.model,
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
            asked=asked,
        )
