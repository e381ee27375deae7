"""Reads what a search for degenerate sets needs of a run, and stores what it finds.

Every call opens the file for one short transaction and may be repeated: a fact and language that
the search already has is not written twice. Runs no model and judges no sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kndb.errors import NotFound, UsageError
from kndb.facts import content_id
from kndb.neurons import Neuron
from kndb.store.catalogue import require, utc_now
from kndb.store.database import connect, transaction
from kndb.store.ids import canonical_json
from kndb.store.lookup import Names, find_facts, find_relations, several
from kndb.store.processes import this_process
from kndb.store.prompts import prompts_of

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[int, str]
"""A fact's id and a language."""


@dataclass(frozen=True)
class FactToSearch:
    """A fact in one language of a run.

    Attributes:
        fact_id: the fact.
        lang: the language.
        prompts: the text with ``[MASK]`` and the answer of each attributed prompt.
        neurons: its knowledge neurons, the strongest first.
    """

    fact_id: int
    lang: str
    prompts: tuple[tuple[str, str], ...]
    neurons: tuple[Neuron, ...]

    @property
    def key(self) -> Key:
        """What identifies it within a search."""
        return self.fact_id, self.lang


_NEURONS = """
    SELECT fact_id, lang, layer, neuron FROM knowledge_neuron
    WHERE run_id = $run ORDER BY fact_id, lang, score DESC, layer, neuron
"""


def facts_to_search(
    path: str | Path,
    run_id: int,
    *,
    fact: Names | None = None,
    relation: Names | None = None,
    langs: Names = (),
    limit: int | None = None,
    seed: int = 0,
) -> list[FactToSearch]:
    """Facts of a run in each of their languages, including those without neurons.

    Args:
        path: the database.
        run_id: the run.
        fact: a key, a prompt or words of the subject, or several; all facts when None.
        relation: a relation's id or label, or several.
        langs: a language, or several; all when empty.
        limit: number of facts to draw, the same in every language.
        seed: seed of the draw.

    Raises:
        NotFound: nothing matches.
        UsageError: the run has no such language.
    """
    langs = several(langs)
    with connect(path) as connection:
        rows = prompts_of(
            connection,
            run_id,
            facts=None if fact is None else find_facts(connection, fact),
            relations=None if relation is None else find_relations(connection, relation),
            skipped=True,
        )
        neurons: dict[Key, list[Neuron]] = {}
        for fact_id, lang, layer, index in connection.execute(_NEURONS, {"run": run_id}).fetchall():
            neurons.setdefault((fact_id, lang), []).append(Neuron(layer, index))
    if not rows:
        raise NotFound(f"Run {run_id} has no such fact; `kndb query` shows which it has.")
    _check_langs(langs, {prompt.lang for prompt in rows})
    facts = {prompt.fact_id for prompt in rows}
    drawn = set(sorted(facts, key=lambda key: content_id("draw", seed, key))[:limit])
    prompts: dict[Key, list[tuple[str, str]]] = {}
    for prompt in rows:
        if prompt.fact_id in drawn and (not langs or prompt.lang in langs):
            done = prompts.setdefault((prompt.fact_id, prompt.lang), [])
            done += [(prompt.text, prompt.answer)] if prompt.done else []
    return [FactToSearch(*key, tuple(prompts[key]), tuple(neurons.get(key, ()))) for key in prompts]


def _check_langs(asked: Sequence[str], known: set[str]) -> None:
    unknown = sorted(set(asked) - known)
    if unknown:
        raise UsageError(
            f"The run has no language {unknown[0]!r}; choose from {', '.join(sorted(known))}."
        )


class Begun(NamedTuple):
    """A search as found or created."""

    finished: bool
    """Whether it was finished; it may be extended by other facts."""
    done: frozenset[Key]
    """The facts and languages it already has."""


class SearchWriter:
    """Writes one search into the database at ``path``.

    ``settings`` distinguish it from other searches of the same run. They do not say which facts are
    searched, so a search may be extended later. ``wait`` is how many seconds each call keeps trying
    while another process holds the file.
    """

    def __init__(
        self,
        path: str | Path,
        run_id: int,
        settings: Mapping[str, Any],
        *,
        wait: float = 60.0,
    ) -> None:
        self.path = Path(path)
        self.run_id = run_id
        self.settings = canonical_json(settings)
        self.search_id = content_id("degenerate_search", run_id, self.settings)
        self._wait = wait

    def begin(self) -> Begun:
        """Find or create the search.

        Raises:
            DatabaseError: the database cannot be opened for writing.
        """
        values = [self.search_id, self.run_id, self.settings, utc_now(), version("kndb")]
        with transaction(self.path, wait=self._wait) as connection:
            require(connection, self.path, "run", self.run_id)
            connection.execute(_BEGIN, [*values, this_process(), self.search_id])
            sql = "SELECT status = 'finished' FROM degenerate_search WHERE search_id = ?"
            ((finished,),) = connection.execute(sql, [self.search_id]).fetchall()
            sql = "SELECT fact_id, lang FROM degenerate_fact WHERE search_id = ?"
            done = connection.execute(sql, [self.search_id]).fetchall()
        return Begun(finished, frozenset(done))

    def append(self, facts: pa.Table, sets: pa.Table, members: pa.Table, subsets: pa.Table) -> None:
        """Store some facts with their sets, in one transaction.

        Args:
            facts: rows of ``degenerate_fact``.
            sets: rows of ``degenerate_set``.
            members: rows of ``degenerate_member``.
            subsets: rows of ``degenerate_subset``.
        """
        tables = {"facts": facts, "sets": sets, "members": members, "subsets": subsets}
        with transaction(self.path, wait=self._wait) as connection:
            require(connection, self.path, "degenerate_search", self.search_id)
            for name, table in tables.items():
                connection.register(f"new_{name}", table)
            for sql in _APPEND:
                connection.execute(sql)

    def mark(self, status: str) -> None:
        """Set the search's status: ``running``, ``interrupted`` or ``finished``."""
        finished = utc_now() if status == "finished" else None
        process = this_process() if status == "running" else None
        with transaction(self.path, wait=self._wait) as connection:
            connection.execute(
                "UPDATE degenerate_search SET status = ?, finished_at = ?, process = ? "
                "WHERE search_id = ?",
                [status, finished, process, self.search_id],
            )


_BEGIN = """
    INSERT INTO degenerate_search BY NAME
    SELECT ? AS search_id, ? AS run_id, ? AS settings, 'running' AS status,
           CAST(? AS TIMESTAMP) AS started_at, ? AS kndb_version, ? AS process
    WHERE NOT EXISTS (FROM degenerate_search WHERE search_id = ?)
"""
_FRESH = "SEMI JOIN fresh USING (search_id, fact_id, lang)"
_APPEND = (
    """
    CREATE TEMP TABLE fresh AS
    SELECT search_id, fact_id, lang FROM new_facts
    ANTI JOIN degenerate_fact USING (search_id, fact_id, lang)
    """,
    f"""
    INSERT INTO degenerate_set BY NAME
    SELECT * FROM new_sets {_FRESH} ORDER BY search_id, fact_id, lang, kind, set_id
    """,
    *(
        f"""
        INSERT INTO {table} BY NAME
        SELECT * FROM {new} WHERE set_id IN (SELECT set_id FROM new_sets {_FRESH}) ORDER BY ALL
        """
        for table, new in (
            ("degenerate_member", "new_members"),
            ("degenerate_subset", "new_subsets"),
        )
    ),
    f"""
    INSERT INTO degenerate_fact BY NAME
    SELECT * FROM new_facts {_FRESH} ORDER BY search_id, fact_id, lang
    """,
)
