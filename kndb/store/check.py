"""Checks a database: blocks, ids, references, ranges and counts. Changes nothing.

Ids are hashes of contents, so a changed fact, prompt or setting is found. Every table is read to
its last block, whose checksum DuckDB verifies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from kndb.errors import KndbError, first_line
from kndb.facts import content_id
from kndb.store.database import connect
from kndb.store.edits import edit_id_of
from kndb.store.letters import plain
from kndb.store.readonly import reading
from kndb.store.refine import REFINED
from kndb.store.score_folder import Part, is_whole, part_files
from kndb.store.score_parts import check_part
from kndb.store.score_view import parts_of


class Problem(NamedTuple):
    """What is wrong with a table, in one line."""

    table: str
    problem: str


_KEYS = {
    "model": "model_id",
    "dataset": "dataset_id",
    "relation": "relation_id",
    "fact": "fact_id",
    "prompt": "prompt_id",
    "run": "run_id",
    "prediction": "run_id, prompt_id",
    "attribution": "run_id, prompt_id, layer, neuron",
    "word_attribution": "run_id, prompt_id, position",
    "score_part": "run_id, part_id",
    "neuron_direction": "model_id, layer, neuron, rank",
    "knowledge_neuron": "run_id, fact_id, lang, layer, neuron",
    "degenerate_search": "search_id",
    "degenerate_fact": "search_id, fact_id, lang",
    "degenerate_set": "search_id, set_id",
    "factcheck_calibration": "calibration_id",
    "edit": "edit_id",
}
"""Columns whose values occur once together."""

_REFERENCES = """
    fact.dataset_id dataset | fact.relation_id relation | prompt.fact_id fact
    run.model_id model | run.dataset_id dataset
    prediction.run_id run | prediction.prompt_id prompt
    attribution.run_id,prompt_id prediction
    word_attribution.run_id,prompt_id prediction
    score_part.run_id run
    neuron_direction.model_id model
    knowledge_neuron.run_id run | knowledge_neuron.fact_id fact | neuron_overlap.run_id run
    degenerate_search.run_id run | degenerate_fact.search_id degenerate_search
    degenerate_fact.fact_id fact | degenerate_set.search_id,fact_id,lang degenerate_fact
    degenerate_member.search_id,set_id degenerate_set
    degenerate_subset.search_id,set_id degenerate_set
    factcheck_calibration.run_id run | factcheck_calibration.search_id degenerate_search
    factcheck.calibration_id factcheck_calibration
    factcheck_split.calibration_id factcheck_calibration
    factcheck_neuron.calibration_id factcheck_calibration
    factcheck_curve.calibration_id factcheck_calibration
    edit.run_id run | edit.fact_id fact | edit_neuron.edit_id edit
    edit_measure.edit_id edit | edit_measure.prompt_id prompt
"""
"""Columns of a table, and the table where their values must occur."""

_OF_RUN = "JOIN run USING (run_id) JOIN model USING (model_id)"
_LACKS = "name a neuron the model lacks"
_OUTSIDE = (
    "layer NOT BETWEEN 0 AND model.n_layers - 1 OR neuron NOT BETWEEN 0 AND model.n_neurons - 1"
)


class _Rule(NamedTuple):
    """A table, what is wrong with rows of it, under which condition, with which joins."""

    table: str
    problem: str
    condition: str
    joins: str = ""


_RULES = (
    _Rule("run", "have an unknown status", "status NOT IN ('running', 'interrupted', 'finished')"),
    _Rule("run", "are finished without a time", "status = 'finished' AND finished_at IS NULL"),
    _Rule(
        "prediction",
        "have an unknown status",
        "status NOT IN ('done', 'skipped', 'unknown', 'failed')",
    ),
    _Rule("prediction", "have no reason", "status <> 'done' AND reason IS NULL"),
    _Rule("prediction", "have a probability outside 0 to 1", "NOT p_answer BETWEEN 0 AND 1"),
    _Rule("prediction", "have a rank below 1", "rank < 1"),
    _Rule("attribution", "have a score that is not finite", "NOT isfinite(score)"),
    _Rule("attribution", _LACKS, _OUTSIDE, _OF_RUN),
    _Rule(
        "word_attribution",
        "do not have a sum for each layer of the model",
        "len(by_layer) <> model.n_layers",
        _OF_RUN,
    ),
    _Rule(
        "word_attribution",
        "contribute what their layers do not add up to",
        # Both are sums of the same 32-bit numbers, in another order.
        "NOT abs(contribution - list_sum(by_layer)) "
        "<= 1e-6 * list_sum(list_transform(by_layer, lambda x: abs(x)))",
    ),
    _Rule("neuron_direction", _LACKS, _OUTSIDE, "JOIN model USING (model_id)"),
    _Rule("neuron_direction", "have a logit that is not finite", "NOT isfinite(logit)"),
    _Rule("knowledge_neuron", _LACKS, _OUTSIDE, _OF_RUN),
    _Rule("knowledge_neuron", "have a support outside 0 to 1", "NOT support BETWEEN 0 AND 1"),
    _Rule(
        "degenerate_member",
        _LACKS,
        _OUTSIDE,
        f"JOIN degenerate_search USING (search_id) {_OF_RUN}",
    ),
    _Rule("edit_neuron", _LACKS, _OUTSIDE, f"JOIN edit USING (edit_id) {_OF_RUN}"),
    _Rule("edit", "have an unknown status", "edit.status NOT IN ('active', 'undone', 'skipped')"),
    _Rule(
        "edit",
        "do not have as many neurons as they count",
        "n_neurons <> (SELECT count(*) FROM edit_neuron AS own "
        "WHERE own.edit_id = edit.edit_id AND kind = 'edit')",
    ),
    _Rule(
        "degenerate_set",
        "do not have as many neurons as they count",
        "size <> (SELECT count(*) FROM degenerate_member AS own "
        "WHERE own.search_id = degenerate_set.search_id AND own.set_id = degenerate_set.set_id)",
    ),
    _Rule(
        "prompt",
        "have a text that is not their template's",
        "text <> replace(replace(template, '[Y]', '[MASK]'), '[X]', subject)",
    ),
    _Rule(
        "prompt",
        "have a plain form that is not their subject's or answer's",
        f"plain_subject <> {plain('subject')} OR plain_answer <> {plain('answer')}",
    ),
    _Rule(
        "attribution",
        "belong to a prompt that is not done",
        "EXISTS (FROM prediction AS own WHERE own.run_id = attribution.run_id "
        "AND own.prompt_id = attribution.prompt_id AND own.status <> 'done')",
    ),
    _Rule(
        "prediction",
        "are done without scores",
        "prediction.status = 'done' AND preset <> 'imported' AND NOT EXISTS (FROM attribution AS "
        "own WHERE own.run_id = prediction.run_id AND own.prompt_id = prediction.prompt_id)",
        "JOIN run USING (run_id)",
    ),
)

_IDS = {
    "model": "SELECT model_id, weights_sha256, architecture FROM model",
    "dataset": "SELECT dataset_id, sha256 FROM dataset",
    "fact": "SELECT fact_id, dataset_id, relation_id, subject_id, object_id FROM fact",
    "prompt": "SELECT prompt_id, fact_id, lang, template, subject, answer FROM prompt",
    "run": "SELECT run_id, model_id, dataset_id, settings FROM run",
    "degenerate_search": "SELECT search_id, run_id, settings FROM degenerate_search",
}
"""An id, and the contents that it is the hash of."""

_KNOWLEDGE = f"""
    WITH meant AS ({REFINED}), stored AS (FROM knowledge_neuron WHERE list_contains($runs, run_id))
    SELECT count(*) FROM meant FULL JOIN stored USING (run_id, fact_id, lang, layer, neuron)
    WHERE meant.score IS NULL OR stored.score IS NULL OR abs(meant.score - stored.score) > 1e-9
"""

_BY_NEURON = """
    WITH other AS (
        SELECT run_id, fact_id, count(*) AS n, bit_xor(hash(own)) AS sum
        FROM knowledge_by_neuron AS own GROUP BY run_id, fact_id
    ), own AS (
        SELECT run_id, fact_id, count(*) AS n, bit_xor(hash(own)) AS sum
        FROM knowledge_neuron AS own GROUP BY run_id, fact_id
    )
    SELECT coalesce(sum(greatest(own.n, other.n)), 0)::BIGINT
    FROM own FULL JOIN other USING (run_id, fact_id)
    WHERE own.n IS DISTINCT FROM other.n OR own.sum <> other.sum
"""
"""Sums of whole facts, because a set of all rows does not fit into a reader's memory."""


def check_database(path: str | Path) -> list[Problem]:
    """Every problem of the database at ``path``; none if it is sound.

    Raises:
        DatabaseError: it cannot be opened.
    """
    with connect(path) as connection:
        if unreadable := list(_unreadable(connection)):
            return unreadable
        with reading(connection):
            return [
                *_repeated(connection),
                *_wrong_ids(connection),
                *_wrong_edit_ids(connection),
                *_orphans(connection),
                *_broken_rules(connection),
                *_wrong_knowledge(connection),
                *_wrong_scores(connection, path),
            ]


def _unreadable(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    names = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
    for (name,) in names:
        try:
            with reading(connection):
                connection.execute(f"SELECT bit_xor(hash(t)) FROM {name} AS t").fetchall()
        except (KndbError, duckdb.Error) as error:
            yield Problem(name, f"cannot be read: {first_line(error)}")


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    ((n,),) = connection.execute(sql).fetchall()
    return int(n)


def _found(table: str, n: int, what: str) -> Iterator[Problem]:
    if n:
        yield Problem(table, f"{n:,} rows {what}")


def _repeated(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    for table, key in _KEYS.items():
        n = _count(
            connection,
            f"SELECT count(*) FROM (SELECT {key} FROM {table} GROUP BY ALL HAVING count(*) > 1)",
        )
        yield from _found(table, n, f"repeat {key}")


def _wrong_ids(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    for table, sql in _IDS.items():
        rows = connection.execute(sql).fetchall()
        n = sum(content_id(table, *contents) != key for key, *contents in rows)
        yield from _found(table, n, "have an id that is not the hash of their contents")


def _wrong_edit_ids(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    rows = connection.execute("SELECT edit_id, run_id, fact_id, settings FROM edit").fetchall()
    n = sum(edit_id_of(run, fact, json.loads(text)) != key for key, run, fact, text in rows)
    yield from _found("edit", n, "have an id that is not the hash of their contents")


def _orphans(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    for reference in _REFERENCES.replace("\n", "|").split("|"):
        if not reference.strip():
            continue
        column, parent = reference.split()
        table, columns = column.split(".")
        n = _count(
            connection,
            f"SELECT count(*) FROM {table} ANTI JOIN {parent} USING ({columns})",
        )
        yield from _found(table, n, f"belong to no {parent}")


def _broken_rules(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    for rule in _RULES:
        sql = f"SELECT count(*) FROM {rule.table} {rule.joins} WHERE {rule.condition}"
        yield from _found(rule.table, _count(connection, sql), rule.problem)


_SCORES = """
    WITH kept AS (
        SELECT run_id, n_layers * n_neurons AS population FROM run JOIN model USING (model_id)
        WHERE json_extract_string(settings, 'keep') = 'all'
    ),
    done AS (
        SELECT run_id, prompt_id, population FROM prediction JOIN kept USING (run_id)
        WHERE prediction.status = 'done'
    ),
    found AS (
        SELECT run_id, prompt_id, count(*) AS n, count(*) FILTER (NOT isfinite(score)) AS n_broken
        FROM score GROUP BY ALL
    )
    SELECT count(*) FILTER (found.n IS NULL),
           count(*) FILTER (done.population IS NULL),
           count(*) FILTER (found.n <> done.population),
           coalesce(sum(found.n_broken), 0)::BIGINT
    FROM done FULL JOIN found USING (run_id, prompt_id)
"""
_SHAPES = "SELECT run_id, n_layers, n_neurons FROM run JOIN model USING (model_id)"
_WRONG_SCORES = (
    "that are done lack the score of every neuron",
    "have scores but are not done",
    "do not have one score for each neuron",
)


def _wrong_scores(connection: duckdb.DuckDBPyConnection, path: str | Path) -> Iterator[Problem]:
    """The parts are there, and have every neuron's score for each prompt that is done, once."""
    files = part_files(path)
    parts = parts_of(connection)
    missing = sum(not is_whole(part, files) for part in parts)
    if missing:
        yield from _found("score_part", missing, "have a file that is missing or of another size")
        return
    if damaged := list(_damaged_parts(connection, Path(path), parts)):
        yield from damaged
        return
    try:
        ((*prompts, broken),) = connection.execute(_SCORES).fetchall()
    except duckdb.Error as error:
        yield Problem("score_part", f"a file cannot be read: {first_line(error)}")
        return
    for n, what in zip(prompts, _WRONG_SCORES, strict=True):
        if n:
            yield Problem("score_part", f"{n:,} prompts {what}")
    yield from _found("score", broken, "have a score that is not finite")


def _damaged_parts(
    connection: duckdb.DuckDBPyConnection, path: Path, parts: Sequence[Part]
) -> Iterator[Problem]:
    rows = connection.execute(_SHAPES).fetchall()
    shapes = {run_id: (layers, neurons) for run_id, layers, neurons in rows}
    for part in parts:
        if part.run_id not in shapes:  # said already
            continue
        try:
            check_part(path, part, shapes[part.run_id])
        except KndbError:
            yield Problem("score_part", f"the file {part.file} is damaged")


def _wrong_knowledge(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    """Refined neurons are those that the raw scores give, and in both tables the same."""
    runs = connection.execute(
        "SELECT run_id FROM run WHERE status = 'finished' AND tau IS NOT NULL"
    ).fetchall()
    asked = {"runs": [run for (run,) in runs], "tau": None, "share": None}
    ((n,),) = connection.execute(_KNOWLEDGE, asked).fetchall()
    yield from _found("knowledge_neuron", n, "differ from what the raw scores give")
    n = _count(connection, _BY_NEURON)
    yield from _found(
        "knowledge_by_neuron",
        n,
        "are of facts with others in knowledge_neuron; `kndb db optimize` makes the table anew",
    )
