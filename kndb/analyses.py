"""What a database offers beyond lists of its rows: overlaps, graphs, pictures, edits and a check.

Each method is the library function that the command of the same name calls. Runs no model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kndb.store.lookup import Names
from kndb.store.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kndb.graph.groups import GroupBy
    from kndb.graph.overlap.request import OverlapBy
    from kndb.plotting.neuron_map import Colour
    from kndb.plotting.plot import Picture

# Every import below is deferred: queries need neither NumPy nor networkx nor matplotlib.


class Analyses:
    """The analyses of the database at ``path``, each of which opens the file for itself.

    ``fact``, ``relation``, ``model`` and ``run`` mean what they mean in ``Database.query``.
    ``search`` is the id of a search for degenerate neurons, or its first digits; by default the
    run's newest is used.
    """

    path: Path

    def overlap(
        self,
        by: OverlapBy = "fact",
        langs: Names | None = None,
        fact: Names | None = None,
        relation: Names | None = None,
        model: Names | None = None,
        run: str | int | None = None,
        tau: float | None = None,
        share: float | None = None,
    ) -> Result:
        """What the languages of each fact share, compared with chance; see ``kndb.overlap``."""
        from kndb.graph.overlap import overlap

        return overlap(self.path, by, langs, fact, relation, model, run, tau, share)

    def degenerate(
        self,
        fact: Names | None = None,
        relation: Names | None = None,
        langs: Names = (),
        model: str | None = None,
        run: str | int | None = None,
        search: str | int | None = None,
    ) -> Result:
        """The degenerate sets that a search has found.

        Returns:
            Columns ``fact_key, relation, lang, neurons, size, drop_share, max_subset_drop,
            p_before, p_after``; ``neurons`` as ``2:117,3:5``.

        Raises:
            NotFound: the run has not been searched (``kndb graph degenerate`` does), or no set was
                found.
            UsageError: several runs or searches match.
        """
        from kndb.graph.selection import Selection
        from kndb.graph.sets import degenerate_sets

        return degenerate_sets(self.path, Selection(fact, relation, langs, model, run, search))

    def groups(
        self,
        by: GroupBy = "fact",
        fact: Names | None = None,
        relation: Names | None = None,
        langs: Names = (),
        model: str | None = None,
        run: str | int | None = None,
        search: str | int | None = None,
    ) -> Result:
        """Degenerate groups: neurons joined by degenerate pairs.

        Args:
            by: pool the pairs of each ``fact``, of each ``relation``, or ``all`` of them.

        Returns:
            The groups, the largest first, with ``size, n_pairs, neurons, n_cliques,
            largest_clique, mean_drop, langs``.

        Raises:
            NotFound: the run has not been searched, or no pair was found.
            UsageError: several runs or searches match, or ``by`` is unknown.
        """
        from kndb.graph.groups import groups
        from kndb.graph.selection import Selection

        return groups(self.path, Selection(fact, relation, langs, model, run, search), by)

    def measures(
        self,
        fact: Names | None = None,
        relation: Names | None = None,
        langs: Names = (),
        model: str | None = None,
        run: str | int | None = None,
        search: str | int | None = None,
        top: int | None = None,
    ) -> Result:
        """How each neuron is connected: degree, bridging, betweenness, community.

        Args:
            top: at most this many neurons, those with the most facts first.

        Returns:
            Columns ``neuron, n_facts, n_relations, n_langs, score, n_degenerate,
            bridges_relations, bridges_langs, betweenness, community, model, run_id``.

        Raises:
            NotFound: nothing is selected.
            UsageError: several runs match, or ``top`` is below 1.
        """
        from kndb.graph.measures import measures
        from kndb.graph.selection import Selection

        return measures(self.path, Selection(fact, relation, langs, model, run, search), top)

    def plot(
        self,
        picture: Picture,
        fact: Names | None = None,
        relation: Names | None = None,
        langs: Names = (),
        model: str | None = None,
        run: str | int | None = None,
        search: str | int | None = None,
        *,
        colour: Colour = "languages",
        theme: str = "light",
    ) -> Figure:
        """A picture as a matplotlib figure; its ``savefig`` writes it to a file.

        Args:
            picture: ``layers``, ``languages``, ``degenerate`` or ``neuron-map``.
            colour: what colours show in a ``neuron-map``: ``languages``, ``facts`` or
                ``relations``.
            theme: ``light`` or ``dark``.

        Raises:
            NotFound: there is nothing to draw.
            UsageError: several runs match, the picture is unknown, or matplotlib is missing.
        """
        from kndb.graph.selection import Selection
        from kndb.plotting.plot import drawn

        selection = Selection(fact, relation, langs, model, run, search)
        return drawn(self.path, picture, selection, colour=colour, theme=theme)

    def edits(self) -> Result:
        """The ledger of edits, the newest last; the view ``edits`` has more columns."""
        from kndb.store.edits import Ledger

        return Ledger(self.path).list()

    def check(self) -> Result:
        """Every problem of the file: columns ``table, problem``, and no rows if it is sound."""
        from kndb.store.check import Problem, check_database

        return Result(Problem._fields, ("VARCHAR", "VARCHAR"), list(check_database(self.path)))
