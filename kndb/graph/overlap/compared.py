"""Compares the languages of each fact in a run: which were run, and which neurons they share.

It completes the counts of ``counts`` with the facts that have no neurons. It computes no
probabilities and stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import duckdb
import numpy as np

from kndb.errors import NotFound, UsageError
from kndb.graph.chance import Ints
from kndb.graph.overlap.counts import MAX_LANGS, Counts, Scope, chosen_facts, count_shared
from kndb.graph.overlap.request import Request
from kndb.store.runs import read_runs


@dataclass(frozen=True)
class Compared:
    """Every selected fact of a run, and the neurons that its languages share."""

    scope: Scope
    fact_ids: Ints
    """``(facts,)``, ascending."""
    done: Ints
    """``(facts,)``: languages in which the fact was run, as bits in the order of the scope."""
    sizes: Ints
    """``(facts, langs)``"""
    n_union: Ints
    """``(facts,)``"""
    shared_fact: Ints
    """``(shared,)``: for each neuron shared by at least two languages, the index of its fact."""
    shared_cell: Ints
    """``(shared,)``: ``layer * n_neurons + index``."""
    shared_langs: Ints
    """``(shared,)``: its languages as bits."""

    @property
    def comparable(self) -> Ints:
        """``(facts,)``: whether the fact was run in at least two languages."""
        return np.asarray(np.bitwise_count(self.done) >= 2)

    @cached_property
    def combinations(self) -> list[int]:
        """The combinations of languages in which facts were run, as bits."""
        return [int(langs) for langs in np.unique(self.done)]

    def sizes_of(self, facts: Ints | slice, langs: int) -> Ints:
        """``(facts, langs)``: sizes in the languages whose bits are set in ``langs``."""
        return self.sizes.T[lang_places(langs)][:, facts].T

    def n_shared(self, langs: Ints) -> Ints:
        """``(facts,)``: number of neurons shared by all languages in the fact's own ``langs``."""
        wanted = langs[self.shared_fact]
        return self._counted((self.shared_langs & wanted == wanted) & (wanted > 0))

    def n_shared_by(self, langs: int) -> Ints:
        """``(facts,)``: number of neurons shared by all languages in the bits ``langs``."""
        return self._counted(self.shared_langs & langs == langs)

    def _counted(self, chosen: Ints) -> Ints:
        return np.bincount(self.shared_fact[chosen], minlength=len(self.fact_ids))


def lang_places(langs: int) -> list[int]:
    """The positions of the languages whose bits are set in ``langs``."""
    return [place for place in range(langs.bit_length()) if langs >> place & 1]


def compare(connection: duckdb.DuckDBPyConnection, request: Request, run_id: int) -> Compared:
    """Count what the languages of each fact in a run share, and which languages were run.

    Raises:
        NotFound: the run lacks one of the languages, or has none of the facts.
        UsageError: thresholds are given, but the run has no raw scores, or there are too many
            languages.
    """
    (run,) = read_runs(connection, [run_id])
    if (request.tau, request.share) != (None, None) and run.preset == "imported":
        raise UsageError(f"Run {run_id} was imported without raw scores; omit tau and share.")
    known = _known_langs(connection)
    fact_ids, done = _done(connection, request, run_id, known)
    there = int(np.bitwise_or.reduce(done))
    in_run = tuple(lang for bit, lang in enumerate(known) if there >> bit & 1)
    langs = _chosen(request.langs, in_run)
    scope = Scope(
        run_id=run_id,
        n_layers=run.n_layers,
        n_neurons=run.n_neurons,
        langs=langs,
        only_these_langs=len(langs) < len(in_run),
        facts=request.facts,
        relations=request.relations,
        tau=request.tau,
        share=request.share,
        finished=run.finished,
    )
    counts = count_shared(connection, scope)
    picked = _picked(done, [known.index(lang) for lang in langs])
    return _aligned(scope, counts, fact_ids, picked)


def _known_langs(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT lang FROM prompt ORDER BY lang").fetchall()
    if len(rows) > MAX_LANGS:
        raise UsageError(
            f"The database has {len(rows)} languages, but at most {MAX_LANGS} can be compared; "
            "split the data over several databases."
        )
    return [lang for (lang,) in rows]


_DONE = """
    SELECT fact_id, CAST(list_position($langs, lang) - 1 AS UTINYINT) AS lang
    FROM prompt
    WHERE {asked} AND {chosen}
"""
_ASKED = """prompt_id IN (
    SELECT prompt_id FROM prediction WHERE run_id = $run AND status = 'done'
)"""
_ASKED_EVERYTHING = """
    SELECT (SELECT count(*) FROM prediction WHERE run_id = ? AND status = 'done')
           = (SELECT count(*) FROM prompt)
"""


def _done(
    connection: duckdb.DuckDBPyConnection, request: Request, run_id: int, known: list[str]
) -> tuple[Ints, Ints]:
    """The facts of the run in ascending order, and their languages as bits in ``known`` order."""
    chosen, params = chosen_facts(request.facts, request.relations)
    params["langs"] = known
    asked = "true"
    if connection.execute(_ASKED_EVERYTHING, [run_id]).fetchall() != [(True,)]:
        params["run"] = run_id  # only if needed: looking up every prompt takes most of the time
        asked = _ASKED
    found = (
        connection.execute(_DONE.format(asked=asked, chosen=chosen), params)
        .to_arrow_reader()
        .read_all()
    )
    if not len(found):
        raise NotFound(f"Run {run_id} has none of the selected facts; choose others.")
    return _by_fact(*(column.to_numpy() for column in found.columns))


def _by_fact(fact_ids: Ints, lang: Ints) -> tuple[Ints, Ints]:
    """Distinct facts in ascending order and their language bits; faster than a GROUP BY."""
    if np.any(fact_ids[1:] < fact_ids[:-1]):  # stored out of order
        order = np.argsort(fact_ids, kind="stable")
        fact_ids, lang = fact_ids[order], lang[order]
    begins = np.append(0, np.flatnonzero(fact_ids[1:] != fact_ids[:-1]) + 1)
    return fact_ids[begins], np.bitwise_or.reduceat(np.int64(1) << lang.astype(np.int64), begins)


def _chosen(asked: tuple[str, ...] | None, in_run: tuple[str, ...]) -> tuple[str, ...]:
    if asked is None:
        return in_run
    by_code = {lang.lower(): lang for lang in in_run}
    for lang in asked:
        if lang not in by_code:
            raise NotFound.among(
                f"The run has no prompts in language {lang!r}.",
                [lang],
                in_run,
                "Languages that there are",
            )
    return tuple(sorted(by_code[lang] for lang in asked))


def _picked(done: Ints, places: list[int]) -> Ints:
    """Extract the bits at ``places`` and pack them together."""
    if places == list(range(int(done.max()).bit_length())):
        return done
    picked = np.zeros_like(done)
    for bit, place in enumerate(places):
        picked |= (done >> place & 1) << bit
    return picked


def _aligned(scope: Scope, counts: Counts, fact_ids: Ints, done: Ints) -> Compared:
    """Counts for every fact of the run, including those without neurons."""
    place = np.searchsorted(fact_ids, counts.fact_ids)
    # Column-major: later steps read one language at a time.
    sizes = np.zeros((len(fact_ids), len(scope.langs)), dtype=np.int64, order="F")
    sizes[place] = counts.sizes
    n_union = np.zeros(len(fact_ids), dtype=np.int64)
    n_union[place] = counts.n_union
    return Compared(
        scope=scope,
        fact_ids=fact_ids,
        done=done,
        sizes=sizes,
        n_union=n_union,
        shared_fact=place[counts.shared_fact],
        shared_cell=counts.shared_cell,
        shared_langs=counts.shared_langs,
    )
