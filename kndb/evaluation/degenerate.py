"""The paper's tables about degenerate neurons: how many facts have them, and how many by chance.

They count what a finished search has stored (default: the run's newest); no search is run here. A
fact in a language is searched once; where a row covers several languages, intervals resample facts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from kndb.errors import NotFound
from kndb.evaluation.statistics.per_fact import layer_rows, mean_of, named, ratio_of, summed
from kndb.evaluation.stored import StoredRequest, stored_run, with_search
from kndb.evaluation.table import ALL, Table
from kndb.graph.chance import Floats
from kndb.store.database import connect
from kndb.store.readonly import reading
from kndb.store.runs import StoredRun
from kndb.store.which_search import finished_search

TABLES = ("rates", "sizes", "layers")
"""The tables, by the ends of their names."""


@dataclass(frozen=True)
class Searched:
    """A fact in a language that was searched.

    Attributes:
        fact_id, relation, lang: what it is.
        n_tried: sets that were tried.
        n_found: degenerate ones.
        n_control: random sets that were tried.
        n_control_found: those that met the criterion.
        done: False where it could not be searched.
    """

    fact_id: int
    relation: str
    lang: str
    n_tried: int
    n_found: int
    n_control: int
    n_control_found: int
    done: bool


def evaluate(request: StoredRequest) -> list[Table]:
    """The tables named by :data:`TABLES`, for one search of one run.

    Without a finished search they have no rows, and a note explains why.

    Raises:
        NotFound: there is no such model, run or search.
        UsageError: several models or searches fit, or the run or the search is not finished.
        DatabaseError: the database cannot be opened.
    """
    with connect(request.database) as connection, reading(connection):
        request, asked = with_search(connection, request)
        run = stored_run(connection, request)
        try:
            search_id = asked or finished_search(connection, run.run_id)
        except NotFound as error:
            return [_empty(name, run, request, str(error)) for name in TABLES]
        settings = {
            **request.settings(run),
            "search_id": search_id,
            "search": _settings(connection, search_id),
        }
        return [
            _rates_table(_searched(connection, search_id), settings, request),
            _sizes_table(connection, search_id, settings, request),
            _layers_table(connection, search_id, run, settings, request),
        ]


def _empty(name: str, run: StoredRun, request: StoredRequest, why: str) -> Table:
    title, columns = _HEADS[name]
    return Table(f"degenerate-{name}", title, columns, [], request.settings(run), [why])


_RATE = (
    "relation_id",
    "relation",
    "lang",
    "n_facts",
    "n_searched",
    "n_skipped",
    *named("carriers"),
    "n_tried",
    "n_found",
    *named("rate"),
    "n_control",
    "n_control_found",
    *named("control_rate"),
    "ratio",
)
_SIZE = (
    "size",
    "n_facts",
    "n_sets",
    "n_control_found",
    *named("drop", "max_subset_drop", "mean_subset_drop", "control_drop"),
)
_LAYER = (
    "layer",
    "n_degenerate",
    *named("degenerate_share"),
    "n_knowledge",
    *named("knowledge_share"),
    *named("of_layer"),
)
_HEADS: Mapping[str, tuple[str, Sequence[str]]] = {
    "rates": ("Facts with degenerate sets of neurons, and random sets for comparison", _RATE),
    "sizes": ("What suppressing degenerate sets does, and what suppressing parts of them", _SIZE),
    "layers": ("Layers of degenerate neurons and of all knowledge neurons", _LAYER),
}


def _settings(connection: duckdb.DuckDBPyConnection, search_id: int) -> Any:
    sql = "SELECT settings FROM degenerate_search WHERE search_id = ?"
    ((settings,),) = connection.execute(sql, [search_id]).fetchall()
    return json.loads(settings)


_FACTS = """
    SELECT fact_id, relation_id, lang, n_tried, n_found, n_control, n_control_found,
           status = 'done'
    FROM degenerate_fact JOIN fact USING (fact_id) WHERE search_id = ? ORDER BY ALL
"""


def _searched(connection: duckdb.DuckDBPyConnection, search_id: int) -> _Groups:
    labels = dict(connection.execute("SELECT relation_id, label FROM relation").fetchall())
    rows = [Searched(*row) for row in connection.execute(_FACTS, [search_id]).fetchall()]
    groups: dict[tuple[str, str], list[Searched]] = defaultdict(list)
    for row in rows:
        for relation in (ALL, row.relation):
            for lang in (ALL, row.lang):
                groups[relation, lang].append(row)
    return {
        (relation, labels.get(relation, ALL), lang): groups[relation, lang]
        for relation, lang in sorted(groups, key=lambda key: [(x != ALL, x) for x in key])
    }


_Groups = dict[tuple[str, str, str], list[Searched]]
"""By relation, its label, and language; ``all`` for all of them."""


def _rates_table(groups: _Groups, settings: Mapping[str, Any], request: StoredRequest) -> Table:
    rows = [[*key, *_rate_row(group, request)] for key, group in groups.items()]
    return Table(
        "degenerate-rates",
        *_HEADS["rates"],
        rows,
        settings,
        [
            "Searched: facts, counted once per language. Carriers: the share of them with at least "
            "one degenerate set.",
            "The rate is found over tried sets; the control tries, for each set, random neurons in "
            "the same layers. The ratio is the rate over the control's.",
            "Intervals resample facts; if all facts give nothing, or everything, it has no width, "
            "which does not prove that there is nothing to find.",
        ],
    )


def _rate_row(group: Sequence[Searched], request: StoredRequest) -> list[Any]:
    done = [row for row in group if row.done]
    facts = np.array([row.fact_id for row in done], dtype=np.int64)

    def total(name: str) -> Floats:
        return summed([getattr(row, name) for row in done], facts)

    args = (request.seed, request.replicates)
    tried, found = total("n_tried"), total("n_found")
    control, control_found = total("n_control"), total("n_control_found")
    rate = ratio_of(found, tried, *args)
    control_rate = ratio_of(control_found, control, *args)
    return [
        len(np.unique(facts)),
        len(done),
        len(group) - len(done),
        *mean_of([row.n_found > 0 for row in done], facts.tolist(), *args),
        int(tried.sum()),
        int(found.sum()),
        *rate,
        int(control.sum()),
        int(control_found.sum()),
        *control_rate,
        rate[0] / control_rate[0] if control_rate[0] else None,
    ]


_SETS = """
    SELECT size, kind, is_degenerate, fact_id, drop_share, max_subset_drop, mean_subset_drop
    FROM degenerate_set LEFT JOIN (
        SELECT search_id, set_id, avg("drop") AS mean_subset_drop
        FROM degenerate_subset GROUP BY search_id, set_id
    ) USING (search_id, set_id)
    WHERE search_id = ? ORDER BY size, fact_id, lang, set_id
"""


def _sizes_table(
    connection: duckdb.DuckDBPyConnection,
    search_id: int,
    settings: Mapping[str, Any],
    request: StoredRequest,
) -> Table:
    by_size: dict[int, list[Any]] = defaultdict(list)
    for size, *rest in connection.execute(_SETS, [search_id]).fetchall():
        by_size[size].append(rest)
    rows = [[size, *_size_row(sets, request)] for size, sets in sorted(by_size.items())]
    notes = [
        "Drops are shares of the answer's probability (absolute if the search was set so), "
        "means over sets: of the whole set, of its worst proper part, of all its proper parts.",
        "The control's drop is that of random sets in place of those found. It includes random "
        "sets that themselves met the criterion, so it is, if anything, too high.",
    ]
    return Table("degenerate-sizes", *_HEADS["sizes"], rows, settings, notes if rows else [_NONE])


_NONE = "The search found no degenerate set."


def _size_row(sets: Sequence[Any], request: StoredRequest) -> list[Any]:
    found = [row for row in sets if row[0] == "degenerate"]
    control = [row for row in sets if row[0] == "control"]

    def mean(rows: Sequence[Any], at: int) -> Sequence[float]:
        facts = [row[2] for row in rows]
        return mean_of([row[at] for row in rows], facts, request.seed, request.replicates)

    return [
        len({row[2] for row in found}),
        len(found),
        sum(row[1] for row in control),
        *mean(found, 3),
        *mean(found, 4),
        *mean(found, 5),
        *mean(control, 3),
    ]


_DEGENERATE = """
    SELECT fact_id, layer, count(DISTINCT (lang, neuron))
    FROM degenerate_set JOIN degenerate_member USING (search_id, set_id)
    WHERE search_id = ? AND kind = 'degenerate' AND is_degenerate
    GROUP BY fact_id, layer ORDER BY ALL
"""
_KNOWLEDGE = """
    SELECT fact_id, layer, count(*)
    FROM knowledge_neuron SEMI JOIN (
        FROM degenerate_fact WHERE search_id = $search AND status = 'done'
    ) USING (fact_id, lang)
    WHERE run_id = $run GROUP BY fact_id, layer ORDER BY ALL
"""


def _layers_table(
    connection: duckdb.DuckDBPyConnection,
    search_id: int,
    run: StoredRun,
    settings: Mapping[str, Any],
    request: StoredRequest,
) -> Table:
    found = connection.execute(_DEGENERATE, [search_id]).fetchall()
    every = connection.execute(_KNOWLEDGE, {"search": search_id, "run": run.run_id}).fetchall()
    facts = sorted({fact for fact, _, _ in [*found, *every]})
    args = (request.seed, request.replicates)
    rows = layer_rows(_by_layer(found, facts, run), _by_layer(every, facts, run), *args)
    notes = [
        "A neuron counts once for each fact and language that has it in a degenerate set, or as a "
        "knowledge neuron of what was searched; the shares are of all layers.",
        "Of layer: the share of the layer's knowledge neurons that are degenerate. A search tries "
        "only a fact's strongest neurons, so this is a lower bound.",
    ]
    return Table(
        "degenerate-layers", *_HEADS["layers"], rows, settings, notes if found else [_NONE]
    )


def _by_layer(rows: Sequence[Any], facts: Sequence[int], run: StoredRun) -> Floats:
    """``(facts, layers)``, numbers of neurons."""
    counts = np.zeros((len(facts), run.n_layers))
    place = {fact: at for at, fact in enumerate(facts)}
    for fact, layer, n in rows:
        counts[place[fact], layer] = n
    return counts
