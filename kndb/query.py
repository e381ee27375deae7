"""Queries a kndb database for facts and neurons. It only reads, and runs no model.

>>> import kndb
>>> with kndb.open("demo.duckdb") as db:  # doctest: +SKIP
...     for row in db.query(fact="P36:Q962", lang="en", model="demo-masked", top=1).to_dicts():
...         print(row["fact_key"], row["layer"], row["neuron"], round(row["score"], 4))
P36:Q962 2 641 0.4451

Only DuckDB is imported here: a query takes a fraction of the time needed to import SQLAlchemy or
Arrow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.neurons import Neuron
from kndb.plain import is_text
from kndb.store.database import connect
from kndb.store.lookup import NEAREST, find_facts, find_model, find_relation
from kndb.store.readonly import reading, run_sql
from kndb.store.refine import REFINED, check_thresholds
from kndb.store.result import Result
from kndb.store.runs import chosen_runs, killed

_STORED = "SELECT * FROM knowledge_neuron WHERE list_contains($runs, run_id)"

_KNOWLEDGE = """
    WITH refined AS ({source}),
    knowledge AS (
        SELECT refined.*, count(*) OVER same AS n_langs,
               string_agg(lang, ',' ORDER BY lang) OVER same AS langs
        FROM refined JOIN fact USING (fact_id)
        WHERE ($facts IS NULL OR list_contains($facts, fact_id))
              AND ($relation IS NULL OR relation_id = $relation)
        WINDOW same AS (PARTITION BY run_id, fact_id, layer, neuron)
    ),
    label AS (
        SELECT fact_id, lang, min(subject) AS subject, min(answer) AS answer FROM prompt
        WHERE $facts IS NULL OR list_contains($facts, fact_id)
        GROUP BY fact_id, lang
    )
"""

_ROWS = """
    SELECT fact_key, relation.label AS relation, knowledge.lang, label.subject, label.answer,
           layer, neuron, score, support, n_langs, langs, model.name AS model, run_id
    FROM knowledge
    JOIN fact USING (fact_id)
    JOIN relation USING (relation_id)
    JOIN label ON label.fact_id = knowledge.fact_id AND label.lang = knowledge.lang
    JOIN run USING (run_id)
    JOIN model USING (model_id)
    WHERE ($lang IS NULL OR lower(knowledge.lang) = lower($lang))
          AND ($layer IS NULL OR (layer = $layer AND neuron = $neuron))
    QUALIFY $top IS NULL OR $top >= row_number() OVER (
        PARTITION BY run_id, knowledge.fact_id, knowledge.lang
        ORDER BY score DESC NULLS LAST, layer, neuron
    )
    ORDER BY fact_key, knowledge.fact_id, knowledge.lang, model, run_id,
             score DESC NULLS LAST, layer, neuron
"""

_LANGS = "SELECT DISTINCT lang FROM knowledge ORDER BY lang"

_MOST_USED = f"""
    SELECT layer || ':' || neuron FROM knowledge
    WHERE $lang IS NULL OR lower(lang) = lower($lang)
    GROUP BY layer, neuron ORDER BY count(DISTINCT fact_id) DESC, layer, neuron
    LIMIT {NEAREST}
"""


class Database:
    """A database opened for reading. Use it in a ``with`` block, or call ``close``."""

    def __init__(self, path: str | Path, *, wait: float = 10.0) -> None:
        self.path = Path(path)
        self._connection = connect(path, wait=wait)

    def query(
        self,
        fact: str | None = None,
        relation: str | None = None,
        lang: str | None = None,
        neuron: str | Neuron | None = None,
        model: str | None = None,
        run: str | int | None = None,
        tau: float | None = None,
        share: float | None = None,
        top: int | None = None,
    ) -> Result:
        """Knowledge neurons of facts, or the facts that use a neuron.

        Args:
            fact: a key (``P36:Q142``), a prompt in any language (``The capital of France is
                [MASK].``, or with the answer), or words of the subject in any language.
            relation: a relation's id or label: ``P36``, ``capital``.
            lang: a language code: ``en``.
            neuron: only this neuron, as ``LAYER:INDEX``.
            model: a model's name, or part of it.
            run: a run's id, or its first digits. Default: the newest finished run of each model
                on each data set.
            tau, share: reselect neurons from the raw scores with these thresholds, exactly and
                without running the model; see ``kndb.store.refine``. If only one is given, the
                other is the run's own.
            top: at most this many neurons per run, fact and language.

        Returns:
            Columns ``fact_key, relation, lang, subject, answer, layer, neuron, score, support,
            n_langs, langs, model, run_id``, ordered by fact, language, model and descending score.
            ``n_langs`` counts the languages in which the neuron is a knowledge neuron of the fact,
            and ``langs`` lists them (``en,zh``); both ignore ``lang`` and ``top``. Imported
            neurons have no ``score`` and no ``support``.

        Raises:
            NotFound: nothing matches; the error carries the nearest matches.
            UsageError: a value is out of range, or ``run`` matches several runs.
        """
        check_thresholds(tau, share)
        if lang is not None and not is_text(lang):
            raise UsageError(f"{lang!r} is not valid Unicode; give a language code, such as en.")
        if top is not None and top < 1:
            raise UsageError(f"top is {top}, but must be at least 1.")
        wanted = Neuron.parse(neuron) if isinstance(neuron, str) else neuron
        stored = tau is None and share is None
        knowledge = _KNOWLEDGE.format(source=_STORED if stored else REFINED)
        connection = self._connection
        with reading(connection):
            params = {
                "runs": self._runs(run, model),
                "facts": None if fact is None else find_facts(connection, fact),
                "relation": None if relation is None else find_relation(connection, relation),
                "lang": lang,
                "layer": None if wanted is None else wanted.layer,
                "neuron": None if wanted is None else wanted.index,
                "tau": tau,
                "share": share,
                "top": top,
            }
            found = Result.read(_execute(connection, knowledge + _ROWS, params))
            if not found:
                raise _nothing(connection, knowledge, params)
            return found

    def sql(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Result:
        """Run one SQL query, which cannot change data or reach anything else.

        It runs in this process, so nothing stops a query that never ends or that needs more
        memory than DuckDB counts. ``kndb sql`` runs untrusted SQL in a separate, limited process.

        Args:
            sql: a SELECT, FROM, WITH, SHOW, DESCRIBE, SUMMARIZE or EXPLAIN statement.
            params: values for its placeholders, ``?`` or ``$name``.

        Raises:
            UsageError: the statement is not a query, or DuckDB rejects it.
        """
        return run_sql(self._connection, sql, params)

    def runs(self) -> Result:
        """All runs, the newest last, from the view ``runs``.

        A run whose process was killed is interrupted here; in the view it stays running.
        """
        found = self.sql("SELECT * FROM runs ORDER BY started_at, run_id")
        return _interrupted(found, "run_id", killed(self._connection, "run"))

    def searches(self) -> Result:
        """All searches for degenerate neurons, the newest last, from the view ``searches``.

        A search whose process was killed is interrupted here; in the view it stays running.
        """
        found = self.sql("SELECT * FROM searches ORDER BY started_at, search_id")
        return _interrupted(found, "search_id", killed(self._connection, "degenerate_search"))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _runs(self, run: str | int | None, model: str | None) -> list[int]:
        models = None if model is None else find_model(self._connection, model)
        return chosen_runs(self._connection, run, models)


def open(path: str | Path, *, wait: float = 10.0) -> Database:
    """Open a database for reading, upgrading it first if it is old. Public as ``kndb.open``.

    Args:
        path: the database file.
        wait: seconds to keep trying while another process is writing.

    Raises:
        DatabaseError: the file cannot be opened; see ``kndb.store.database.connect``.
    """
    return Database(path, wait=wait)


def _interrupted(found: Result, key: str, killed: frozenset[int]) -> Result:
    """The rows, with those whose process was killed as interrupted. ``key`` is the id's column."""
    at, status = map(found.columns.index, (key, "status"))
    rows = [
        (*row[:status], "interrupted", *row[status + 1 :]) if row[at] in killed else row
        for row in found
    ]
    return Result(found.columns, found.types, rows)


def _execute(
    connection: duckdb.DuckDBPyConnection, sql: str, params: dict[str, Any]
) -> duckdb.DuckDBPyConnection:
    """Run ``sql`` with only the parameters it mentions, because DuckDB rejects extra ones."""
    mentioned = set(re.findall(r"\$(\w+)", sql))
    used = {name: value for name, value in params.items() if name in mentioned}
    return connection.execute(sql, used)


def _nothing(
    connection: duckdb.DuckDBPyConnection, knowledge: str, params: dict[str, Any]
) -> NotFound:
    """The error for an empty result: is it the language, the neuron, or are there no neurons?"""

    def column(sql: str) -> list[str]:
        return [value for (value,) in _execute(connection, knowledge + sql, params).fetchall()]

    langs = column(_LANGS)
    if params["lang"] is not None and params["lang"].lower() not in map(str.lower, langs) and langs:
        return NotFound(f"There are no matching neurons in language {params['lang']!r}.", langs)
    if params["layer"] is not None and langs:
        neuron = Neuron(params["layer"], params["neuron"])
        return NotFound(f"None of these facts uses neuron {neuron}.", column(_MOST_USED))
    return NotFound(
        "The selected facts have no knowledge neurons in the selected runs; "
        "`kndb runs` lists what has been run."
    )
