"""Tables of each language's knowledge neurons, and of the layers that shared ones lie in.

They are part of :mod:`kndb.evaluation.crosslingual.tables`, which compares the neurons.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np

from kndb.evaluation.statistics.per_fact import layer_rows, named, ratio_of
from kndb.evaluation.stored import StoredRequest
from kndb.evaluation.table import Table
from kndb.graph.overlap import Compared
from kndb.store.runs import StoredRun

ONE_LANGUAGE = (
    "The run has only one language, so there is nothing to compare; `kndb ingest --langs` accepts "
    "several."
)


def languages_table(compared: Compared, run: StoredRun, request: StoredRequest) -> Table:
    """How many neurons a fact has in each language, and how many of them also in others."""
    rows = [_language_row(compared, place, request) for place in range(len(compared.scope.langs))]
    return Table(
        "crosslingual-languages",
        "Knowledge neurons of each language, and how many of them other languages of the fact have",
        ("lang", "n_facts", "n_without", *named("size", "in_another", "in_all")),
        rows,
        request.settings(run),
        [
            "Size is the mean number of knowledge neurons of a fact; in another, in all: the share "
            "of them that the fact also has in at least one, and in each, of its other languages.",
            "Facts in one language only count for size and not for the shares.",
        ],
    )


def _language_row(compared: Compared, place: int, request: StoredRequest) -> list[Any]:
    asked = np.flatnonzero(compared.done >> place & 1)
    size = compared.sizes[:, place].astype(float)
    here = compared.shared_langs >> place & 1 == 1
    in_all = compared.shared_langs == compared.done[compared.shared_fact]
    several = asked[compared.comparable[asked]]
    args = (request.seed, request.replicates)

    def shared(chosen: Any) -> Iterator[float | None]:
        n = np.bincount(compared.shared_fact[chosen], minlength=len(size)).astype(float)
        yield from ratio_of(n[several], size[several], *args)

    return [
        compared.scope.langs[place],
        len(asked),
        int((size[asked] == 0).sum()),
        *ratio_of(size[asked], np.ones(len(asked)), *args),
        *shared(here),
        *shared(here & in_all),
    ]


_UNION = """
    SELECT fact_id, layer, count(DISTINCT neuron) AS n FROM knowledge_neuron
    WHERE run_id = ? GROUP BY fact_id, layer
"""


def layers_table(
    connection: duckdb.DuckDBPyConnection,
    compared: Compared,
    run: StoredRun,
    request: StoredRequest,
) -> Table:
    """The layers of language-independent neurons and of all knowledge neurons."""
    shape = (len(compared.fact_ids), run.n_layers)
    every, independent = np.zeros(shape), np.zeros(shape)
    found = connection.execute(_UNION, [run.run_id]).fetchnumpy()
    fact = np.searchsorted(compared.fact_ids, found["fact_id"])
    every[fact, found["layer"]] = found["n"]
    in_all = compared.shared_langs == compared.done[compared.shared_fact]
    layer = compared.shared_cell[in_all] // run.n_neurons
    np.add.at(independent, (compared.shared_fact[in_all], layer), 1)
    rows = layer_rows(
        independent[compared.comparable],
        every[compared.comparable],
        request.seed,
        request.replicates,
    )
    several = len(compared.scope.langs) > 1
    return Table(
        "crosslingual-layers",
        "Layers of language-independent neurons and of all knowledge neurons",
        (
            "layer",
            "n_independent",
            *named("independent_share"),
            "n_knowledge",
            *named("knowledge_share"),
            *named("of_layer"),
        ),
        rows if several else [],
        request.settings(run),
        [
            "A neuron counts once for each fact that has it in any of its languages (knowledge) or "
            "in all of them (independent); the shares are of all layers.",
            "Of layer: the share of the layer's knowledge neurons that are language-independent.",
        ]
        if several
        else [ONE_LANGUAGE],
    )
