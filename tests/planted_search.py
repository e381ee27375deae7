"""Planted facts, and a planted search for degenerate sets over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx

from kndb.store.database import connect

FACTS = {
    "P36:Q1": {"en": [(0, 1), (0, 2), (2, 9)], "zh": [(0, 2), (1, 5)]},
    "P36:Q2": {"en": [(0, 1), (0, 2), (1, 5)]},
    "P38:Q3": {"en": [(0, 2)], "zh": [(0, 2), (2, 8)]},
}
TRIANGLE = [((0, 1), (0, 2)), ((0, 2), (2, 9)), ((0, 1), (2, 9))]
PAIRS = {
    ("P36:Q1", "en"): TRIANGLE,
    ("P36:Q2", "en"): [((0, 1), (1, 5))],
    ("P38:Q3", "zh"): [((0, 2), (2, 8))],
}


def add_search(path: Path, run_id: int, planted: Mapping[tuple[str, str], Any] = PAIRS) -> None:
    """Store a finished search with these pairs, one control pair and one set of three."""
    with connect(path, write=True) as connection:
        connection.execute(
            "INSERT INTO degenerate_search BY NAME SELECT 1 AS search_id, ? AS run_id, "
            "'{}' AS settings, 'finished' AS status, now()::TIMESTAMP AS started_at, "
            "now()::TIMESTAMP AS finished_at, '0' AS kndb_version",
            [run_id],
        )
        ids = dict(connection.execute("SELECT fact_key, fact_id FROM fact").fetchall())
        found = [
            (ids[key], lang, "degenerate", pair)
            for (key, lang), pairs in planted.items()
            for pair in pairs
        ]
        found.append((ids["P36:Q2"], "en", "control", ((0, 50), (0, 51))))
        found.append((ids["P36:Q2"], "en", "degenerate", ((0, 60), (0, 61), (0, 62))))
        for key, langs in FACTS.items():
            for lang, neurons in langs.items():
                connection.execute(
                    "INSERT INTO degenerate_fact VALUES (1, ?, ?, ?, 0, 0, 0, 0, 'done', NULL)",
                    [ids[key], lang, len(neurons)],
                )
        for set_id, (fact_id, lang, kind, members) in enumerate(found):
            connection.execute(
                "INSERT INTO degenerate_set VALUES (?, 1, ?, ?, ?, ?, ?, ?, 0.1, true, 0.9, 0.5)",
                [run_id, fact_id, lang, set_id, kind, len(members), 0.3 + set_id / 100],
            )
            for layer, neuron in members:
                connection.execute(
                    "INSERT INTO degenerate_member VALUES (1, ?, ?, ?)", [set_id, layer, neuron]
                )


def edges(graph: nx.Graph, kind: str) -> dict[tuple[str, str], float]:
    """The weights of all edges of one kind, keyed by their two nodes in order."""
    return {
        (min(a, b), max(a, b)): data["weight"]
        for a, b, data in graph.edges(data=True)
        if data["kind"] == kind
    }
