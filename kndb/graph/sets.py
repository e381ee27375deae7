"""Lists the degenerate sets that a search has found. Searches and judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from kndb.graph.groups import no_pairs
from kndb.graph.selection import EVERYTHING, Selection, selected
from kndb.store.result import Result
from kndb.store.runs import with_models

_SETS = """
    SELECT fact_key, relation, lang, neurons, size, drop_share, max_subset_drop,
           p_before, p_after
    FROM degenerate_sets
    JOIN (SELECT search_id, set_id, fact_id, p_before, p_after FROM degenerate_set) AS measured
        USING (search_id, set_id)
    WHERE search_id = $search AND kind = 'degenerate'
          AND ($facts IS NULL OR list_contains($facts, fact_id))
          AND ($langs IS NULL OR list_contains($langs, lower(lang)))
    ORDER BY fact_key, lang, size, drop_share DESC, neurons
"""


def degenerate_sets(path: str | Path, selection: Selection = EVERYTHING) -> Result:
    """The degenerate sets of the selected facts and languages, found by one search.

    Args:
        path: the database.
        selection: which facts, languages, run and search.

    Returns:
        Columns ``fact_key, relation, lang, neurons, size, drop_share, max_subset_drop, p_before,
        p_after``; ``neurons`` as ``2:117,3:5``.

    Raises:
        NotFound: the run has not been searched, or no set was found.
        UsageError: several runs or searches match.
        DatabaseError: the database cannot be opened.
    """
    with selected(path, selection) as found:
        if found.search_id is None:
            raise no_pairs(found)
        sets = sets_of_search(found.connection, found.search_id, found.facts, found.langs)
        if not sets:
            raise no_pairs(found)
        return with_models(found.connection, sets, found.run_id)


def sets_of_search(
    connection: duckdb.DuckDBPyConnection,
    search_id: int,
    facts: Sequence[int] | None = None,
    langs: Sequence[str] | None = None,
) -> Result:
    """The degenerate sets of a search; of these facts, and languages in lower case, if given."""
    asked = {"search": search_id, "facts": facts, "langs": langs}
    return Result.read(connection.execute(_SETS, asked))
