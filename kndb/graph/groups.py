"""Degenerate groups: connected components of the graph whose edges are degenerate pairs.

The pairs come from a stored search (``kndb graph degenerate``), by default the run's newest. This
module does not search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from kndb.errors import NotFound, UsageError
from kndb.graph.build import neuron_node
from kndb.graph.selection import EVERYTHING, Selected, Selection, selected
from kndb.store.result import Result
from kndb.store.runs import with_models

if TYPE_CHECKING:
    import networkx as nx

GroupBy = Literal["fact", "relation", "all"]
LEVELS: tuple[GroupBy, ...] = get_args(GroupBy)

_COLUMNS = {
    "group": "BIGINT",
    "size": "BIGINT",
    "n_pairs": "BIGINT",
    "neurons": "VARCHAR",
    "n_cliques": "BIGINT",
    "largest_clique": "VARCHAR",
    "mean_drop": "DOUBLE",
    "langs": "VARCHAR",
    "model": "VARCHAR",
    "run_id": "BIGINT",
}
_OWNER = {
    "fact": {"fact_key": "VARCHAR", "relation": "VARCHAR"},
    "relation": {"relation_id": "VARCHAR", "relation": "VARCHAR"},
    "all": {},
}
_OWNER_SQL = {
    "fact": "fact.fact_key, relation.label",
    "relation": "relation.relation_id, relation.label",
    "all": "",
}


def groups(path: str | Path, selection: Selection = EVERYTHING, by: GroupBy = "fact") -> Result:
    """The degenerate groups of a run: per fact, per relation or overall.

    Args:
        path: the database.
        selection: which facts and languages; pairs from all selected languages are pooled.
        by: pool the pairs of each fact, of each relation, or all of them.

    Returns:
        Rows, the largest group first: what the group belongs to (``fact_key, relation`` or
        ``relation_id, relation``), its number, ``size`` in neurons, ``n_pairs``, its ``neurons``
        (``2:117,3:5``), ``n_cliques`` (maximal sets of at least three neurons in which every pair
        is degenerate), ``largest_clique``, ``mean_drop`` over its pairs, ``langs``, ``model,
        run_id``.

    Raises:
        NotFound: the run has not been searched for degenerate neurons, no pair was found, or there
            is no such search.
        UsageError: several runs or searches match, or ``by`` is unknown.
        DatabaseError: the database cannot be opened.
    """
    if by not in LEVELS:
        raise UsageError(f"Pairs cannot be pooled by {by!r}; use {', '.join(LEVELS)}.")
    with selected(path, selection) as found:
        graphs = _pair_graphs(found, by)
        if not graphs:
            raise no_pairs(found)
        rows = [row for owner, graph in graphs.items() for row in _group_rows(owner, graph)]
        columns = _OWNER[by] | _COLUMNS
        width = len(_OWNER[by])
        rows.sort(key=lambda row: (-row[width + 1], row[:width], row[width]))
        rows = [(*row, found.model, found.run_id) for row in rows]
        listed = Result(tuple(columns), tuple(columns.values()), rows)
        return with_models(found.connection, listed)


def _pair_graphs(found: Selected, by: GroupBy) -> dict[tuple[str, ...], nx.Graph]:
    """Graphs of degenerate pairs, keyed by fact or by relation, or a single one."""
    import networkx as nx  # Deferred: saves 0.2 s for commands that need no graph.

    owner = _OWNER_SQL[by]
    graphs: dict[tuple[str, ...], nx.Graph] = {}
    for *whose, one, other, drop, lang in found.rows(
        f"SELECT {owner + ', ' if owner else ''}"
        "one[1] || ':' || one[2], other[1] || ':' || other[2], drop_share, lang FROM pair "
        "JOIN fact USING (fact_id) JOIN relation ON relation.relation_id = fact.relation_id "
        "ORDER BY ALL"
    ):
        graph = graphs.setdefault(tuple(whose), nx.Graph())
        ends = tuple(neuron_node(*_cell(neuron)) for neuron in (one, other))
        drops, langs = [drop], {lang}
        if graph.has_edge(*ends):
            drops += graph.edges[ends]["drops"]
            langs |= graph.edges[ends]["langs"]
        graph.add_edge(*ends, drops=drops, langs=langs)
    return graphs


def _cell(text: str) -> tuple[int, int]:
    layer, index = map(int, text.split(":"))
    return layer, index


def _group_rows(owner: tuple[str, ...], graph: nx.Graph) -> Iterator[tuple[Any, ...]]:
    """The rows of one graph's groups, the largest first, numbered from 1."""
    import networkx as nx

    components = sorted(nx.connected_components(graph), key=lambda nodes: (-len(nodes), min(nodes)))
    for number, nodes in enumerate(components, start=1):
        group = graph.subgraph(nodes)
        drops = [drop for _, _, drops in group.edges(data="drops") for drop in drops]
        langs = {lang for _, _, langs in group.edges(data="langs") for lang in langs}
        cliques = sorted(
            (clique for clique in nx.find_cliques(group) if len(clique) > 2),
            key=lambda clique: (-len(clique), min(clique)),
        )
        yield (
            *owner,
            number,
            len(group),
            group.number_of_edges(),
            _listed(nodes),
            len(cliques),
            _listed(cliques[0]) if cliques else None,
            sum(drops) / len(drops),
            ",".join(sorted(langs)),
        )


def _listed(nodes: Iterable[str]) -> str:
    """The neurons in order: ``2:117,3:5``."""
    cells = sorted(_cell(node.removeprefix("neuron ")) for node in nodes)
    return ",".join(f"{layer}:{index}" for layer, index in cells)


def no_pairs(found: Selected) -> NotFound:
    """The error for a selection without pairs: nothing was searched, or nothing was found."""
    if found.search_id is None:
        return NotFound(
            f"Run {found.run_id} has not been searched for degenerate neurons; "
            "run `kndb graph degenerate` first."
        )
    ((searched, larger),) = found.rows(_SEARCHED)
    if not searched:
        return NotFound(
            f"Search {found.search_id} does not cover the selected facts; "
            f"{_others(found)}search them with `kndb graph degenerate`."
        )
    if larger:
        return NotFound(
            "The search found no degenerate pairs in the selected facts, only larger sets "
            f"({larger:,}), which form no groups; see the table degenerate_sets."
        )
    return NotFound(
        "The search found no degenerate pairs in the selected facts; choose other facts, or "
        "search with other thresholds."
    )


def _others(found: Selected) -> str:
    """Advice to use the run's other searches, if any."""
    rows = found.rows(_OTHERS)
    ids = ", ".join(str(search_id) for (search_id,) in rows)
    return f"choose another with `--search` ({ids}), or " if rows else ""


_OTHERS = """
    SELECT search_id FROM degenerate_search
    WHERE run_id = $run AND search_id <> $search ORDER BY search_id
"""
_SEARCHED = """
    SELECT count(*), coalesce(sum(larger), 0)::BIGINT
    FROM degenerate_fact LEFT JOIN (
        SELECT search_id, fact_id, lang, count(*) AS larger FROM degenerate_set
        WHERE kind = 'degenerate' AND is_degenerate AND size > 2 GROUP BY ALL
    ) USING (search_id, fact_id, lang)
    WHERE search_id = $search
          AND ($facts IS NULL OR list_contains($facts, fact_id))
          AND ($langs IS NULL OR list_contains($langs, lower(lang)))
"""
"""The number of fact-languages searched, and of their sets of more than two neurons."""
