"""Writes runs into a database: the catalogue, then batches of results, then the refined neurons.

Every call opens the file for one short transaction, so readers can read between two batches and a
killed process loses only the current batch. Every call may be repeated: existing rows are not
written twice. Where a run keeps the score of every neuron, they go into a file beside the database
before the transaction that lists it commits. Bulk rows arrive as Arrow tables and are stored
sorted, so that DuckDB's zone maps work. Computes no scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from kndb.facts import Fact, Prompt, Relation
from kndb.store import ids
from kndb.store.catalogue import (
    DatasetRow,
    ModelRow,
    insert_facts,
    insert_run,
    require,
    run_id_of,
    utc_now,
)
from kndb.store.database import transaction
from kndb.store.processes import this_process
from kndb.store.prompts import settled_prompts
from kndb.store.refine import REFINED_OF_RANGE, check_thresholds
from kndb.store.score_folder import sweep
from kndb.store.score_parts import SMALL_PARTS, add_part, join_small_parts
from kndb.store.score_view import parts_of
from kndb.store.shards import ALL, Shard, Shards

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Run:
    """A run as found or created by ``Writer.begin``."""

    run_id: int
    status: str
    """``running``, or ``finished`` if nothing is left to do."""
    done: frozenset[int]
    """Ids of the prompts that have a row already, whatever became of them."""
    tau: float | None
    """Threshold its knowledge neurons were refined with; None before refinement."""
    share: float | None
    """Share of prompts they were refined with."""
    shards: Shards | None
    """What of it is finished; None if nothing is."""

    def covers(self, shard: Shard | None) -> bool:
        """Whether it is finished, so far as the shard goes; all of it if None."""
        if self.status != "finished" or self.shards is None:
            return False
        return self.shards == ALL or (shard is not None and shard.number in self.shards.numbers)

    def with_finished(self, shard: Shard | None) -> Shards:
        """What of it is finished once the shard is; all if None.

        Raises:
            UsageError: it has been divided into another number of shards.
        """
        if shard is None:
            return ALL
        own = Shards.only(shard)
        return own if self.shards is None else self.shards.joined(own)


class Writer:
    """Writes into the database at ``path``, which ``begin`` creates if it does not exist.

    ``wait`` is how many seconds each call keeps trying while another process holds the file.
    """

    def __init__(self, path: str | Path, *, wait: float = 60.0) -> None:
        self.path = Path(path)
        self._wait = wait

    def begin(
        self,
        model: ModelRow,
        dataset: DatasetRow,
        relations: Iterable[Relation],
        facts: Iterable[Fact],
        prompts: Sequence[Prompt],
        preset: str,
        settings: Mapping[str, Any],
        shard: Shard | None = None,
    ) -> Run:
        """Find or create the run with these settings, and store what the catalogue lacks.

        ``settings`` must be JSON, and must distinguish this run from others; they include the
        selection of prompts, but not the shard of it that is worked on. A run that does not cover
        that, or all if it is None, is set to running again, by this process.

        Raises:
            DatabaseError: the database cannot be opened for writing.
            UsageError: the run has been divided into another number of shards.
        """
        run_id = run_id_of(model, dataset, settings)
        with transaction(self.path, create=True, wait=self._wait) as connection:
            insert_run(connection, model, dataset, preset, settings)
            insert_facts(connection, ids.dataset_id(dataset.sha256), relations, facts, prompts)
            run = _found(connection, run_id)
            run.with_finished(shard)
            if run.covers(shard):
                return run
            listed = {part.file for part in parts_of(connection) if part.run_id == run_id}
            sweep(self.path, run_id, listed)
            _resume(connection, run_id)
            return replace(run, status="running")

    def append(
        self,
        run_id: int,
        predictions: pa.Table,
        attributions: pa.Table,
        words: pa.Table | None = None,
        scores: pa.Table | None = None,
    ) -> None:
        """Store a batch of prompts with their raw scores, in one transaction.

        Args:
            run_id: the run.
            predictions: one row per prompt: ``prompt_id``, ``status`` and any other column of
                the table ``prediction``, by name.
            attributions: ``prompt_id, layer, neuron, score``; rows of prompts that are not in
                ``predictions`` are not stored.
            words: ``prompt_id, position, word, contribution, by_layer``, likewise; None for none.
            scores: ``prompt_id``, and ``scores``, the list of every neuron's score, likewise. They
                become a part beside the database, which is there before the transaction commits.

        Prompts that the run already has are not changed.

        Raises:
            DatabaseError: the file was replaced by one without the run.
            KndbError: a part cannot be written.
        """
        replaced: list[Path] = []
        remove = partial(_remove, replaced)
        with transaction(self.path, wait=self._wait, then=remove) as connection:
            require(connection, self.path, "run", run_id)
            connection.register("new_predictions", predictions)
            connection.register("new_attributions", attributions)
            connection.execute(_FRESH, [run_id])
            connection.execute(_APPEND_ATTRIBUTIONS, [run_id])
            if words is not None and words.num_rows:
                connection.register("new_words", words)
                connection.execute(_APPEND_WORDS, [run_id])
            if scores is not None and (fresh := _fresh(connection, scores)).num_rows:
                add_part(connection, self.path, run_id, fresh)
                replaced += join_small_parts(connection, self.path, run_id, SMALL_PARTS)
            connection.execute(_APPEND_PREDICTIONS, [run_id])

    def finish(self, run_id: int, tau: float, share: float, shards: Shards = ALL) -> None:
        """Refine the run's raw scores into knowledge neurons, and mark it finished.

        Args:
            run_id: the run.
            tau: threshold, a share of a prompt's highest score.
            share: share of a fact's prompts.
            shards: what it covers now.

        Raises:
            UsageError: a threshold is out of range (``refine.check_thresholds``).
        """
        check_thresholds(tau, share)
        replaced: list[Path] = []
        with self._finishing(run_id, tau, share, shards, replaced) as connection:
            replaced += join_small_parts(connection, self.path, run_id, 2)
            refine(connection, run_id, tau, share)

    def finish_with(self, run_id: int, neurons: pa.Table) -> None:
        """Store knowledge neurons that were not refined from scores, and mark the run finished.

        Args:
            run_id: the run.
            neurons: ``fact_id, lang, layer, neuron``.
        """
        with self._finishing(run_id, None, None) as connection:
            _forget(connection, run_id)
            connection.register("new_neurons", neurons)
            connection.execute(_GIVEN, [run_id])
            connection.execute(_BY_NEURON, [run_id])

    @contextmanager
    def _finishing(
        self,
        run_id: int,
        tau: float | None,
        share: float | None,
        shards: Shards = ALL,
        replaced: Iterable[Path] = (),
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction for the run's knowledge neurons, which also marks the run finished."""
        remove = partial(_remove, replaced)
        with transaction(self.path, wait=self._wait, then=remove) as connection:
            require(connection, self.path, "run", run_id)
            yield connection
            connection.execute(_FINISH, [utc_now(), tau, share, shards.stored, run_id])

    def mark(self, run_id: int, status: str) -> None:
        """Set a run's status, for example to ``interrupted``."""
        with transaction(self.path, wait=self._wait) as connection:
            connection.execute(
                "UPDATE run SET status = ?, process = NULL WHERE run_id = ?", [status, run_id]
            )


def refine(connection: duckdb.DuckDBPyConnection, run_id: int, tau: float, share: float) -> None:
    """Make a run's knowledge neurons anew, from its scores.

    Args:
        connection: in a transaction.
        run_id: the run.
        tau: threshold, a share of a prompt's highest score.
        share: share of a fact's prompts.
    """
    _forget(connection, run_id)
    ((rows,),) = connection.execute(_SCORES, [run_id]).fetchall()
    parts = 1 + rows // REFINED_AT_ONCE
    for part in range(parts):
        first, end = (at * ids.END // parts for at in (part, part + 1))
        connection.execute(
            _REFINE,
            {"runs": [run_id], "tau": tau, "share": share, "first": first, "last": end - 1},
        )
    connection.execute(_BY_NEURON, [run_id])


def _forget(connection: duckdb.DuckDBPyConnection, run_id: int) -> None:
    for table in ("knowledge_neuron", "knowledge_by_neuron"):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", [run_id])


REFINED_AT_ONCE = 100_000_000
"""Raw scores from which neurons are selected at once, of facts that follow each other: it takes
1 GB, and each part reads the ids of all scores."""

_SCORES = "SELECT count(*) FROM attribution WHERE run_id = ?"
_FRESH = """
    CREATE TEMP TABLE fresh AS
    SELECT * FROM new_predictions
    WHERE prompt_id NOT IN (SELECT prompt_id FROM prediction WHERE run_id = ?)
"""
_APPEND_PREDICTIONS = """
    INSERT INTO prediction BY NAME
    SELECT ? AS run_id, * FROM fresh ORDER BY prompt_id
"""
_APPEND_ATTRIBUTIONS = """
    INSERT INTO attribution BY NAME
    SELECT ? AS run_id, prompt_id, layer, neuron, score FROM new_attributions
    WHERE prompt_id IN (SELECT prompt_id FROM fresh)
    ORDER BY prompt_id, layer, neuron
"""
_APPEND_WORDS = """
    INSERT INTO word_attribution BY NAME
    SELECT ? AS run_id, prompt_id, position, word, contribution, by_layer FROM new_words
    WHERE prompt_id IN (SELECT prompt_id FROM fresh)
    ORDER BY prompt_id, position
"""
_REFINE = f"""
    INSERT INTO knowledge_neuron BY NAME
    {REFINED_OF_RANGE}
    ORDER BY fact_id, lang, layer, neuron
"""
_GIVEN = """
    INSERT INTO knowledge_neuron BY NAME
    SELECT ? AS run_id, fact_id, lang, layer, neuron FROM new_neurons
    ORDER BY fact_id, lang, layer, neuron
"""
_BY_NEURON = """
    INSERT INTO knowledge_by_neuron BY NAME
    FROM knowledge_neuron WHERE run_id = ?
    ORDER BY layer, neuron, fact_id, lang
"""
_FINISH = """
    UPDATE run
    SET status = 'finished', finished_at = ?, tau = ?, share = ?, shards = ?, process = NULL
    WHERE run_id = ?
"""


def _fresh(connection: duckdb.DuckDBPyConnection, scores: pa.Table) -> pa.Table:
    """The scores of prompts that the run does not have yet."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = connection.execute("SELECT prompt_id FROM fresh").fetchall()
    known = pa.array([key for (key,) in rows], pa.int64())
    return scores.filter(pc.is_in(scores["prompt_id"], known))


def _remove(files: Iterable[Path]) -> None:
    """Remove parts whose scores are in others now; what stays is removed with the next run."""
    for file in files:
        with suppress(OSError):
            file.unlink()


def _resume(connection: duckdb.DuckDBPyConnection, run_id: int) -> None:
    connection.execute(
        "UPDATE run SET status = 'running', process = ? WHERE run_id = ?", [this_process(), run_id]
    )


def _found(connection: duckdb.DuckDBPyConnection, run_id: int) -> Run:
    sql = "SELECT status, tau, share, shards FROM run WHERE run_id = ?"
    ((status, tau, share, shards),) = connection.execute(sql, [run_id]).fetchall()
    done = settled_prompts(connection, run_id)
    covered = Shards.parse(shards) if shards or status == "finished" else None
    return Run(run_id, status, done, tau, share, covered)
