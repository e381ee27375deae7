"""What a search for degenerate neurons holds of the facts asked for, counted in the database.

What earlier calls of the same search found of these facts is included; other facts are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kndb.store.database import connect
from kndb.store.searches import Key, RunToSearch


@dataclass(frozen=True)
class SearchSummary:
    """A search in figures, all of them about the facts and languages asked for.

    Attributes:
        search_id: its id.
        run_id: the run's.
        model: the model's name.
        asked: the facts and languages that this call was about.
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
    SELECT reason, count(*) FROM degenerate_fact {_ASKED}
    WHERE search_id = $search AND status = 'skipped'
    GROUP BY reason ORDER BY count(*) DESC, reason
"""
_FOUND = f"""
    SELECT size, count(*) FROM degenerate_set {_ASKED}
    WHERE search_id = $search AND kind = 'degenerate'
    GROUP BY size ORDER BY size
"""


def summarise_search(
    path: Path, search_id: int, run: RunToSearch, asked: frozenset[Key], new: int, seconds: float
) -> SearchSummary:
    """Count what a search holds of the facts and languages asked for.

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
        )
