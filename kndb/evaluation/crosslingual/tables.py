"""The paper's tables about languages: the neurons they share, and how many chance would give.

Neurons are compared by ``kndb.graph.overlap``; only stored rows are read. A fact counts in a row
when it was asked in the languages of that row, with or without neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import duckdb
import numpy as np

from kndb.evaluation.crosslingual.edits import edit_languages_table, editing_table
from kndb.evaluation.crosslingual.languages import (
    ONE_LANGUAGE,
    languages_table,
    layers_table,
)
from kndb.evaluation.statistics.per_fact import estimates, named
from kndb.evaluation.stored import StoredRequest, stored_run
from kndb.evaluation.table import ALL, Table
from kndb.graph.chance import Floats, Ints, benjamini_hochberg, expected_shared, shared_p_values
from kndb.graph.overlap import Compared, Request, compare
from kndb.graph.overlap.rows import SIGNIFICANT, fact_rows, relation_rows
from kndb.store.database import connect
from kndb.store.readonly import reading
from kndb.store.runs import StoredRun

TABLES = ("pairs", "relations", "languages", "layers", "edits", "edit-languages")
"""The tables, by the ends of their names."""

_FIGURES = (
    "n_facts",
    "size",
    *named("shared"),
    "expected",
    *named("ratio", "jaccard", "significant"),
)


def evaluate(request: StoredRequest) -> list[Table]:
    """The tables named by :data:`TABLES`, for one run.

    Raises:
        NotFound: there is no such model or run.
        UsageError: several models fit, or the run is not finished.
        DatabaseError: the database cannot be opened.
    """
    with connect(request.database) as connection, reading(connection):
        run = stored_run(connection, request)
        everything = Request("fact", [run.run_id], None, None, None, None, None, {})
        compared = compare(connection, everything, run.run_id)
        whole = _whole(connection, compared)
        return [
            _pairs_table(compared, whole, run, request),
            _relations_table(connection, compared, whole, run, request),
            languages_table(compared, run, request),
            layers_table(connection, compared, run, request),
            editing_table(connection, run, request),
            edit_languages_table(connection, run, request),
        ]


@dataclass(frozen=True)
class Figures:
    """How many neurons languages share, fact by fact.

    Attributes:
        size: ``(facts,)``, neurons in a language, mean over the languages compared.
        n_shared: ``(facts,)``, in all of them.
        n_union: ``(facts,)``, in any.
        expected: ``(facts,)``, mean of ``n_shared`` for random sets of these sizes.
        p_values: ``(facts,)``, probability of at least ``n_shared`` by chance.
    """

    size: Floats
    n_shared: Ints
    n_union: Ints
    expected: Floats
    p_values: Floats

    def of(self, facts: Ints) -> Figures:
        """The figures of some of the facts, by their places."""
        return Figures(
            self.size[facts],
            self.n_shared[facts],
            self.n_union[facts],
            self.expected[facts],
            self.p_values[facts],
        )


def _whole(connection: duckdb.DuckDBPyConnection, compared: Compared) -> Figures:
    """Every fact over all the languages it was asked in."""
    rows = fact_rows(connection, compared)
    columns = {name: rows[name].to_numpy() for name in ("n_shared", "n_union")}
    n_langs = np.maximum(np.bitwise_count(compared.done), 1)
    return Figures(
        compared.sizes.sum(axis=1) / n_langs,
        columns["n_shared"],
        columns["n_union"],
        rows["expected"].to_numpy(),
        rows["p_value"].to_numpy(),
    )


def _pair(compared: Compared, places: tuple[int, int], population: int) -> Figures:
    """The facts asked in both of two languages, given by their places."""
    bits = 1 << places[0] | 1 << places[1]
    facts = np.flatnonzero(compared.done & bits == bits)
    sizes = compared.sizes[facts][:, places]
    n_shared = compared.n_shared_by(bits)[facts]
    return Figures(
        sizes.mean(axis=1),
        n_shared,
        sizes.sum(axis=1) - n_shared,
        expected_shared(population, sizes),
        shared_p_values(population, sizes, n_shared),
    )


def _values(figures: Figures, request: StoredRequest) -> list[Any]:
    """The columns ``_FIGURES``."""
    n = len(figures.size)
    if not n:
        return [0, *[None] * (len(_FIGURES) - 1)]
    significant = benjamini_hochberg(figures.p_values) <= SIGNIFICANT
    ones = np.ones(n)
    above = np.stack([figures.n_shared] * 3 + [significant], axis=1).astype(float)
    below = np.stack([ones, figures.expected, figures.n_union, ones], axis=1)
    found = estimates(above, below, request.seed, request.replicates).tolist()
    shared, ratio, jaccard, share = found
    size, expected = figures.size.mean(), figures.expected.mean()
    return [n, float(size), *shared, float(expected), *ratio, *jaccard, *share]


_NOTES = (
    "Sizes, shared and expected are means over the facts; the ratio is shared over expected, "
    "Jaccard the sum of shared over the sum of all neurons, fact by fact.",
    "Expected are random sets of the same sizes among all neurons of the model; a fact is "
    f"significant at q ≤ {SIGNIFICANT:g}, corrected for the facts of its row (Benjamini-Hochberg).",
)


def _pairs_table(
    compared: Compared, whole: Figures, run: StoredRun, request: StoredRequest
) -> Table:
    langs = compared.scope.langs
    rows = [
        [f"{langs[a]},{langs[b]}", *_values(_pair(compared, (a, b), run.population), request)]
        for a, b in combinations(range(len(langs)), 2)
    ]
    comparable = np.flatnonzero(compared.comparable)
    rows.append([ALL, *_values(whole.of(comparable), request)])
    return Table(
        "crosslingual-pairs",
        "Knowledge neurons that two languages, and all languages, of a fact share",
        ("langs", *_FIGURES),
        rows if len(langs) > 1 else [],
        request.settings(run),
        _NOTES if len(langs) > 1 else [ONE_LANGUAGE],
    )


def _relations_table(
    connection: duckdb.DuckDBPyConnection,
    compared: Compared,
    whole: Figures,
    run: StoredRun,
    request: StoredRequest,
) -> Table:
    between = relation_rows(connection, compared).select(
        ["relation_id", "shared_by_facts", "shared_by_facts_expected"]
    )
    relations = dict(
        connection.execute("SELECT fact_id, relation_id FROM fact ORDER BY fact_id").fetchall()
    )
    labels = dict(connection.execute("SELECT relation_id, label FROM relation").fetchall())
    of_fact = np.array([relations[fact] for fact in compared.fact_ids.tolist()])
    rows = []
    for row in between.to_pylist():
        relation = row["relation_id"]
        facts = np.flatnonzero((of_fact == relation) & compared.comparable)
        tail = [row["shared_by_facts"], row["shared_by_facts_expected"]]
        rows.append([relation, labels[relation], *_values(whole.of(facts), request), *tail])
    several = len(compared.scope.langs) > 1
    return Table(
        "crosslingual-relations",
        "Knowledge neurons that all languages of a fact share, by relation",
        ("relation_id", "relation", *_FIGURES, "shared_by_facts", "shared_by_facts_expected"),
        rows if several else [],
        request.settings(run),
        [*_NOTES, _BETWEEN] if several else [ONE_LANGUAGE],
    )


_BETWEEN = (
    "The last two columns: neurons that two different facts of the relation share in one language, "
    "and the number expected by chance: what all facts of a relation share says little about one "
    "fact."
)
