"""Compares two runs: which knowledge neurons they share, and whether their scores are equal.

The runs may differ in preset, settings or weights, as before and after fine-tuning. Facts are
compared in the languages in which both runs asked them. Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.notes import note
from kndb.store.lookup import model_name
from kndb.store.refine import REFINED, stored
from kndb.store.result import Result
from kndb.store.runs import StoredRun, find_run, read_runs

DiffBy = Literal["all", "layer", "fact", "relation", "language", "neuron"]
LEVELS: tuple[DiffBy, ...] = get_args(DiffBy)

_COMPARED = """
    WITH refined AS ({source}),
    done AS (
        SELECT relation_id, subject_id, object_id, lang
        FROM prediction JOIN prompt USING (prompt_id) JOIN fact USING (fact_id)
        WHERE list_contains($runs, run_id) AND prediction.status = 'done'
        GROUP BY ALL HAVING count(DISTINCT run_id) = 2
    ),
    compared AS (
        SELECT relation_id, fact_key, object_id, lang, layer, neuron,
               max(score) FILTER (run_id = $one) AS score_one,
               max(score) FILTER (run_id = $other) AS score_other,
               bool_or(run_id = $one) AS in_one, bool_or(run_id = $other) AS in_other
        FROM refined JOIN fact USING (fact_id)
        SEMI JOIN done USING (relation_id, subject_id, object_id, lang)
        GROUP BY ALL
    )
"""
"""The neurons of the facts and languages that both runs asked, and in which run each is."""

_COUNTS = """
    SELECT {keys} count(*) FILTER (in_one) AS n_one, count(*) FILTER (in_other) AS n_other,
           count(*) FILTER (in_one AND in_other) AS n_shared,
           count(*) FILTER (in_one AND NOT in_other) AS n_lost,
           count(*) FILTER (in_other AND NOT in_one) AS n_gained,
           n_shared / count(*) AS jaccard
    FROM compared JOIN relation USING (relation_id)
    {grouped}
"""
_KEYS = {
    "all": (),
    "layer": ("layer",),
    "fact": ("fact_key", "relation.label AS relation"),
    "relation": ("relation_id", "relation.label AS relation"),
    "language": ("lang",),
}
_CHANGED = """
    SELECT fact_key, relation.label AS relation, lang, layer, neuron,
           CASE WHEN in_one THEN 'lost' ELSE 'gained' END AS change, score_one, score_other
    FROM compared JOIN relation USING (relation_id)
    WHERE in_one <> in_other
    ORDER BY fact_key, lang, change, coalesce(score_one, score_other) DESC, layer, neuron
"""

_PROMPTS = """
    SELECT count(*) FILTER (one), count(*) FILTER (other), count(*) FILTER (one AND other)
    FROM (
        SELECT prompt_id, bool_or(run_id = $one) AS one, bool_or(run_id = $other) AS other
        FROM prediction WHERE list_contains([$one, $other], run_id) AND status = 'done'
        GROUP BY prompt_id
    )
"""
_SCORES = """
    WITH both_asked AS (
        SELECT prompt_id FROM prediction
        WHERE list_contains([$one, $other], run_id) AND status = 'done'
        GROUP BY prompt_id HAVING count(DISTINCT run_id) = 2
    ),
    scores AS (
        SELECT * FROM attribution SEMI JOIN both_asked USING (prompt_id)
        WHERE list_contains([$one, $other], run_id)
    ),
    top AS (SELECT prompt_id, max(abs(score)) AS highest FROM scores GROUP BY prompt_id),
    pair AS (
        SELECT prompt_id, layer, neuron,
               any_value(score) FILTER (run_id = $one) AS one,
               any_value(score) FILTER (run_id = $other) AS other
        FROM scores GROUP BY prompt_id, layer, neuron
    )
    SELECT count(*) FILTER (one IS NOT NULL AND other IS NOT NULL) AS n_both,
           count(*) FILTER (one IS NULL OR other IS NULL) AS n_alone,
           max(abs(CAST(one AS DOUBLE) - other) / highest) AS largest,
           arg_max(layer || ':' || neuron, abs(CAST(one AS DOUBLE) - other) / highest) AS neuron,
           arg_max(prompt_id, abs(CAST(one AS DOUBLE) - other) / highest) AS prompt_id,
           max(abs(coalesce(one, other)) / highest) FILTER (one IS NULL OR other IS NULL) AS alone
    FROM pair JOIN top USING (prompt_id)
"""


@dataclass(frozen=True)
class ScoreDifference:
    """How far the raw scores of two runs differ, on the prompts that both have done.

    Attributes:
        n_one, n_other, n_both: prompts done in either run, and in both.
        n_scores: scores that both runs stored.
        n_alone: scores that only one of them stored, which are near the floor of what is stored.
        largest: the largest difference of two scores, relative to the highest score of their
            prompt; None if there are no scores to compare.
        neuron, text: where it is; None if there is no difference.
        largest_alone: the largest of the scores that only one run stored, relative likewise.
    """

    n_one: int
    n_other: int
    n_both: int
    n_scores: int
    n_alone: int
    largest: float | None
    neuron: str | None
    text: str | None
    largest_alone: float | None

    @property
    def same_prompts(self) -> bool:
        """Whether both runs have done exactly the same prompts."""
        return self.n_one == self.n_other == self.n_both

    @property
    def equal(self) -> bool:
        """Whether the runs have the same prompts and the same scores, to the bit."""
        return self.same_prompts and self.largest == 0 and self.n_alone == 0


@dataclass(frozen=True)
class Difference:
    """Two runs against each other.

    Attributes:
        one, other: the runs.
        rows: columns ``n_one, n_other, n_shared, n_lost, n_gained, jaccard`` after those that name
            the layer, fact, relation or language. By neuron: ``fact_key, relation, lang, layer,
            neuron, change, score_one, score_other``, where ``change`` is ``gained`` or ``lost``.
        total: the counts for all facts together, by name.
        scores: whether the raw scores are equal, and how far they differ.
    """

    one: StoredRun
    other: StoredRun
    rows: Result
    total: Mapping[str, Any]
    scores: ScoreDifference


def diff_runs(
    connection: duckdb.DuckDBPyConnection, one: str | int, other: str | int, by: DiffBy
) -> Difference:
    """Two runs against each other; see ``kndb.query.Database.diff``."""
    runs = _find_two(connection, one, other)
    rows = _neurons(connection, *runs, by)
    (total,) = _neurons(connection, *runs, "all").to_dicts()
    return Difference(*runs, rows, total, _scores(connection, *runs))


def _find_one(connection: duckdb.DuckDBPyConnection, asked: str | int) -> StoredRun:
    """The run of a name, an id or its first digits, or the newest of a model or a preset.

    Raises:
        NotFound: there is no such run.
        UsageError: several ids begin like this.
    """
    text = str(asked)
    if text.isdecimal() or any(run.name == text for run in read_runs(connection)):
        (run,) = read_runs(connection, [find_run(connection, text)])
        return run
    name = model_name(text).lower()
    runs = [run for run in read_runs(connection) if run.finished]
    found = [run for run in runs if name in (run.model.lower(), run.preset.lower())] or [
        run for run in runs if name in run.model.lower()
    ]
    if not found:
        every = [run.described for run in runs]
        raise NotFound(
            f"No finished run has the id, the model or the preset {text!r}.", every, "Finished runs"
        )
    if len(found) > 1:
        note(f"{text}: the newest of {len(found)} runs is compared, {found[0].run_id}.")
    return found[0]


def _find_two(
    connection: duckdb.DuckDBPyConnection, one: str | int, other: str | int
) -> tuple[StoredRun, StoredRun]:
    """Two runs whose neurons can be compared; see ``_find_one``.

    Raises:
        NotFound: there is no such run.
        UsageError: they are the same run, or their models have different sizes.
    """
    first, second = _find_one(connection, one), _find_one(connection, other)
    if first.run_id == second.run_id:
        raise UsageError(f"{one!r} and {other!r} both mean the run {first.described}.")
    if (first.n_layers, first.n_neurons) != (second.n_layers, second.n_neurons):
        sizes = " and ".join(
            f"{run.model} has {run.n_layers} layers of {run.n_neurons}" for run in (first, second)
        )
        raise UsageError(f"{sizes} neurons, so their neurons cannot be compared.")
    return first, second


def _neurons(
    connection: duckdb.DuckDBPyConnection, one: StoredRun, other: StoredRun, by: DiffBy
) -> Result:
    """The knowledge neurons of two runs against each other; by layer, fact and so on."""
    if by not in LEVELS:
        raise UsageError(f"A difference is by {', '.join(LEVELS)}; not by {by!r}.")
    if by == "neuron":
        sql = _CHANGED
    else:
        keys = _KEYS[by]
        names = ", ".join(key.rpartition(" ")[2] for key in keys)
        grouped = f"GROUP BY {', '.join(key.partition(' AS ')[0] for key in keys)}" if keys else ""
        ordered = f" ORDER BY {names}" if keys else ""
        sql = _COUNTS.format(keys="".join(f"{key}, " for key in keys), grouped=grouped + ordered)
    runs = [one.run_id, other.run_id]
    source, params = stored(runs), {"runs": runs, "one": one.run_id, "other": other.run_id}
    if not (one.finished and other.finished):
        source, params = REFINED, {**params, "tau": None, "share": None}
    sql = _COMPARED.format(source=source) + sql
    return Result.read(connection.execute(sql, params))


def _scores(
    connection: duckdb.DuckDBPyConnection, one: StoredRun, other: StoredRun
) -> ScoreDifference:
    """How far the raw scores of two runs differ."""
    runs = {"one": one.run_id, "other": other.run_id}
    ((n_one, n_other, n_both),) = connection.execute(_PROMPTS, runs).fetchall()
    ((n_scores, n_alone, largest, neuron, prompt_id, alone),) = connection.execute(
        _SCORES, runs
    ).fetchall()
    text = None
    if largest:
        ((text,),) = connection.execute(
            "SELECT text FROM prompt WHERE prompt_id = ? LIMIT 1", [prompt_id]
        ).fetchall()
    return ScoreDifference(
        n_one,
        n_other,
        n_both,
        n_scores,
        n_alone,
        largest,
        neuron if largest else None,
        text,
        alone,
    )
