"""Resolves a selection of knowledge neurons: names to ids, one run, and its search.

It owns the CTEs over which graphs, groups, measures and pictures query. It builds no graphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from kndb.errors import NotFound
from kndb.store.database import connect
from kndb.store.lookup import Names, find_facts, find_models, find_relations, several
from kndb.store.readonly import reading
from kndb.store.refine import REFINED, REFINED_OF_FACTS
from kndb.store.runs import StoredRun, only_run, read_runs
from kndb.store.which_search import find_search, newest_search


@dataclass(frozen=True)
class Selection:
    """Which knowledge neurons of which run, by the names users give, as in ``Database.query``.

    ``search`` is the id of a search for degenerate neurons, or the first digits of one. If ``run``
    is None, the search also determines the run. If ``search`` is None, degenerate pairs come from
    the run's newest search.
    """

    fact: Names | None = None
    relation: Names | None = None
    langs: Names = ()
    model: str | None = None
    run: str | int | None = None
    search: str | int | None = None


EVERYTHING = Selection()
"""All knowledge neurons; there must be only one run."""


@dataclass(frozen=True)
class Selected:
    """A selection resolved to ids, with the connection to query it.

    ``search_id`` is None if the run has not been searched for degenerate neurons; ``facts`` and
    ``langs`` are None for all.
    """

    connection: duckdb.DuckDBPyConnection
    run_id: int
    search_id: int | None
    model: str
    n_layers: int
    n_neurons: int
    facts: list[int] | None
    langs: list[str] | None
    finished: bool = True

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run ``sql``, which may use the CTEs ``chosen``, ``searched`` and ``pair``."""
        params = {
            "run": self.run_id,
            "runs": [self.run_id],
            "tau": None,
            "share": None,
            "search": self.search_id,
            "facts": self.facts,
            "langs": self.langs,
        }
        chosen = f"WITH {self._chosen}{sql}"
        mentioned = {*re.findall(r"\$(\w+)", chosen)}
        used = {name: value for name, value in params.items() if name in mentioned}
        return self.connection.execute(chosen, used).fetchall()

    @property
    def _chosen(self) -> str:
        if self.facts is None:
            return _CHOSEN.format(source=_STORED if self.finished else REFINED, of_facts="true")
        source = _STORED if self.finished else REFINED_OF_FACTS
        return _CHOSEN.format(source=source, of_facts="fact_id IN (SELECT unnest($facts))")


_STORED = "SELECT * FROM knowledge_neuron WHERE run_id = $run"

_CHOSEN = """
    chosen AS (
        SELECT knowledge_neuron.*, relation_id
        FROM ({source}) AS knowledge_neuron JOIN fact USING (fact_id)
        WHERE {of_facts} AND ($langs IS NULL OR list_contains($langs, lower(lang)))
    ),
    searched AS (SELECT * FROM degenerate_search WHERE search_id = $search),
    pair AS (
        SELECT found.fact_id, relation_id, lang, drop_share,
               min((layer, neuron)) AS one, max((layer, neuron)) AS other
        FROM degenerate_set AS found
        JOIN degenerate_member USING (search_id, set_id)
        JOIN fact ON fact.fact_id = found.fact_id
        WHERE search_id = $search
              AND kind = 'degenerate' AND is_degenerate AND size = 2
              AND ($facts IS NULL OR list_contains($facts, found.fact_id))
              AND ($langs IS NULL OR list_contains($langs, lower(lang)))
        GROUP BY search_id, set_id, found.fact_id, relation_id, lang, drop_share
    )
"""
"""The selected knowledge neurons, the search for degenerate sets, and the pairs it found."""


@contextmanager
def selected(path: str | Path, selection: Selection) -> Iterator[Selected]:
    """Open the database and resolve the selection.

    Raises:
        NotFound: there is no such fact, relation, language, model, run or search.
        UsageError: several runs or searches match.
        DatabaseError: the database cannot be opened.
    """
    with connect(path) as connection, reading(connection):
        run, search_id = _run_and_search(connection, selection)
        yield Selected(
            connection,
            run.run_id,
            search_id,
            run.model,
            run.n_layers,
            run.n_neurons,
            _facts(connection, selection),
            _langs(connection, run, selection.langs),
            run.finished,
        )


def _run_and_search(
    connection: duckdb.DuckDBPyConnection, selection: Selection
) -> tuple[StoredRun, int | None]:
    """The run, and its search for degenerate neurons, if any."""
    models = None if selection.model is None else find_models(connection, selection.model)
    if selection.search is None:
        run = only_run(connection, selection.run, models)
        newest = newest_search(connection, run.run_id)
        return run, newest and newest.search_id
    search = find_search(connection, selection.search, selection.run, models)
    (run,) = read_runs(connection, [search.run_id])
    return run, search.search_id


def _langs(connection: duckdb.DuckDBPyConnection, run: StoredRun, asked: Names) -> list[str] | None:
    """The requested languages in lower case; None for all."""
    langs = [lang.strip().lower() for lang in several(asked)]
    if not langs:
        return None
    source = "knowledge_neuron" if run.finished else "prediction JOIN prompt USING (prompt_id)"
    rows = connection.execute(
        f"SELECT DISTINCT lang FROM {source} WHERE run_id = ? ORDER BY lang", [run.run_id]
    ).fetchall()
    known = [lang for (lang,) in rows]
    for lang in langs:
        if lang not in map(str.lower, known):
            raise NotFound.among(
                f"The run has no neurons in language {lang!r}.",
                [lang],
                known,
                "Languages that there are",
            )
    return langs


def _facts(connection: duckdb.DuckDBPyConnection, selection: Selection) -> list[int] | None:
    facts = None if selection.fact is None else find_facts(connection, selection.fact)
    if selection.relation is None:
        return facts
    rows = connection.execute(
        "SELECT fact_id FROM fact WHERE list_contains($relations, relation_id) "
        "AND ($facts IS NULL OR list_contains($facts, fact_id))",
        {"relations": find_relations(connection, selection.relation), "facts": facts},
    ).fetchall()
    return [fact_id for (fact_id,) in rows]
