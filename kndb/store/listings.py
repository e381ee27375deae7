"""Lists what a database holds: facts, relations, languages, models and data sets. Reads only."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from kndb.errors import NotFound
from kndb.plain import counted
from kndb.store.knowledge import Layers, Question, fact_langs, find_facts_and_answers, lower_langs
from kndb.store.lookup import Names, facts_by_words, find_relations
from kndb.store.processes import KEYS
from kndb.store.result import Result
from kndb.store.runs import killed
from kndb.store.window import ALL, Window, read_window

_FACTS = """
    WITH wanted AS (
        SELECT fact_id, fact_key, relation.label AS relation, dataset.name AS dataset, {place}
        FROM fact {ranked}
        JOIN relation USING (relation_id)
        JOIN dataset USING (dataset_id)
        WHERE $relations IS NULL OR list_contains($relations, relation_id)
    ),
    spoken AS MATERIALIZED (
        SELECT fact_id, lang {summed}
        FROM prompt SEMI JOIN wanted USING (fact_id)
        WHERE ($langs IS NULL OR list_contains($langs, lower(lang))) {narrowed}
        GROUP BY fact_id, lang
    ),
    page AS MATERIALIZED (FROM spoken JOIN wanted USING (fact_id) {order} {cut})
    SELECT fact_key, relation, lang, subject, answer, prompts, dataset,
           (SELECT count(*) FROM spoken) AS total
    FROM page {prompts}
    {order}
"""
"""A page is chosen before its labels are read, unless it is chosen by them."""

_SUMMED = "min(subject) AS subject, min(answer) AS answer, count(*) AS prompts"
_OF_PAGE = f"""
    JOIN (
        SELECT fact_id, lang, {_SUMMED} FROM prompt SEMI JOIN page USING (fact_id, lang)
        GROUP BY fact_id, lang
    ) USING (fact_id, lang)
"""
_RANKED = """
    JOIN (SELECT unnest($facts) AS fact_id, generate_subscripts($facts, 1) AS place)
    USING (fact_id)
"""
_USED = """
    AND (fact_id, lang) IN (
        SELECT unnest($used_by::BIGINT[]), unnest(from_json($used_in, '["VARCHAR"]'))
    )
"""
_FACT_COLUMNS = ["fact_key", "relation", "lang", "subject", "answer", "prompts", "dataset"]

_RELATIONS = """
    WITH counted AS (SELECT relation_id, count(*) AS facts FROM fact GROUP BY relation_id),
    spoken AS (
        SELECT relation_id, lang FROM prompt JOIN fact USING (fact_id) GROUP BY relation_id, lang
    ),
    langs AS (SELECT relation_id, count(*) AS langs FROM spoken GROUP BY relation_id)
    SELECT relation_id, label, coalesce(facts, 0) AS facts, coalesce(langs, 0) AS langs
    FROM relation
    LEFT JOIN counted USING (relation_id)
    LEFT JOIN langs USING (relation_id)
    ORDER BY relation_id
"""

_LANGUAGES = """
    WITH spoken AS (SELECT fact_id, lang, count(*) AS prompts FROM prompt GROUP BY fact_id, lang)
    SELECT lang, count(*) AS facts, count(DISTINCT relation_id) AS relations,
           CAST(sum(prompts) AS BIGINT) AS prompts
    FROM spoken JOIN fact USING (fact_id)
    GROUP BY lang
    ORDER BY lang
"""

_MODELS = """
    SELECT model.name, architecture, family, n_layers, n_neurons, count(run_id) AS runs
    FROM model LEFT JOIN run USING (model_id)
    GROUP BY ALL ORDER BY 1
"""

_DATASETS = """
    SELECT dataset.name, format,
           (SELECT count(*) FROM fact WHERE fact.dataset_id = dataset.dataset_id) AS facts,
           count(run_id) AS runs
    FROM dataset LEFT JOIN run USING (dataset_id)
    GROUP BY ALL ORDER BY 1
"""


def list_facts(
    connection: duckdb.DuckDBPyConnection,
    words: str | None,
    relation: Names | None,
    lang: Names | None,
    answer: Names | None,
    layer: Layers | None,
    model: Names | None,
    run: str | int | None,
    window: Window = ALL,
) -> Result:
    """Facts in each of their languages; see ``kndb.query.Database.facts``."""
    window.check(_FACT_COLUMNS)
    facts = find_facts_and_answers(connection, None, answer)
    ranked = None if words is None else facts_by_words(connection, words)
    if ranked is not None:
        facts = [fact for fact in ranked if facts is None or fact in {*facts}]
    params: dict[str, Any] = {
        "relations": None if relation is None else find_relations(connection, relation),
        "langs": None if lang is None else lower_langs(lang),
    }
    if facts is not None:
        params["facts"] = facts
    narrowed = ""
    if layer is not None or model is not None or run is not None:
        using = Question(relation=relation, lang=lang, layer=layer, model=model, run=run)
        narrowed = _USED
        used = fact_langs(connection, using).rows()
        # As text, since DuckDB tries to import pandas for each element of a list: 0.2 ms, for maybe
        # a hundred thousand, where it is not installed.
        params["used_by"] = str([fact for fact, _ in used])
        params["used_in"] = json.dumps([lang for _, lang in used])
    by_label = window.column in ("subject", "answer", "prompts")
    sql = _FACTS.format(
        place="0 AS place" if ranked is None else "place",
        ranked="" if facts is None else _RANKED,
        narrowed=narrowed,
        summed=f", {_SUMMED}" if by_label else "",
        prompts="" if by_label else _OF_PAGE,
        order=window.order("place, fact_key, fact_id, lang"),
        cut=window.cut(),
    )
    found = read_window(connection.execute(sql, params), window)
    if not found:
        raise NotFound("No fact matches all of this; `kndb facts` lists them.")
    return found


def list_relations(connection: duckdb.DuckDBPyConnection) -> Result:
    """``relation_id, label, facts, langs``: relations, with their facts and languages."""
    return Result.read(connection.execute(_RELATIONS))


def list_languages(connection: duckdb.DuckDBPyConnection) -> Result:
    """``lang, facts, relations, prompts``: what there is in each language."""
    return Result.read(connection.execute(_LANGUAGES))


def list_models(connection: duckdb.DuckDBPyConnection) -> Result:
    """``name, architecture, family, n_layers, n_neurons, runs``: the models that were run."""
    return Result.read(connection.execute(_MODELS))


def list_datasets(connection: duckdb.DuckDBPyConnection) -> Result:
    """``name, format, facts, runs``: the data sets that were run over."""
    return Result.read(connection.execute(_DATASETS))


_WORK = {
    "run": "SELECT * FROM runs ORDER BY started_at, run_id",
    "degenerate_search": "SELECT * FROM searches ORDER BY started_at, search_id",
}


def list_work(connection: duckdb.DuckDBPyConnection, table: str) -> Result:
    """The rows of a table of ``KEYS``, from its view; work whose process is gone is interrupted."""
    found = Result.read(connection.execute(_WORK[table]))
    at, status = map(found.columns.index, (KEYS[table], "status"))
    gone = killed(connection, table)
    rows = [
        (*row[:status], "interrupted", *row[status + 1 :]) if row[at] in gone else row
        for row in found
    ]
    return Result(found.columns, found.types, rows)


_CONTENTS = """
    SELECT (SELECT count(*) FROM fact), (SELECT count(*) FROM run),
           (SELECT list(DISTINCT lang ORDER BY lang) FROM prompt)
"""


def count_contents(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What the database holds, in a few words each: facts, languages, runs.

    Raises:
        duckdb.Error: the connection is closed.
    """
    ((facts, runs, langs),) = connection.execute(_CONTENTS).fetchall()
    named = f"{len(langs or ())} languages" if len(langs or ()) > 6 else ", ".join(langs or ())
    counts = [counted(facts, "fact"), counted(runs, "run")]
    return [f"{counts[0]} in {named}" if named else counts[0], counts[1]]


_RUN = """
    SELECT runs.* REPLACE (if($killed, 'interrupted', runs.status) AS status),
           architecture, family, n_layers, n_neurons, weights_sha256, format,
           (SELECT string_agg(DISTINCT lang, ',' ORDER BY lang)
            FROM prediction JOIN prompt USING (prompt_id) WHERE run_id = $run) AS langs,
           (SELECT count(*) FROM knowledge_neuron WHERE run_id = $run) AS knowledge_neurons,
           (SELECT count(*) FROM degenerate_search WHERE run_id = $run) AS searches,
           (SELECT count(*) FROM factcheck_calibration WHERE run_id = $run) AS calibrations,
           (SELECT count(*) FROM edit WHERE run_id = $run) AS edits,
           shards, settings
    FROM runs
    JOIN run USING (run_id)
    JOIN model USING (model_id)
    JOIN dataset USING (dataset_id)
    WHERE run_id = $run
"""


def describe_run(
    connection: duckdb.DuckDBPyConnection, run_id: int, *, killed: bool = False
) -> Result:
    """One row with all there is to know of a run; ``killed`` if its process is gone."""
    return Result.read(connection.execute(_RUN, {"run": run_id, "killed": killed}))
