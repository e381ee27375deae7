"""Answers questions about knowledge neurons: which neurons a fact uses, which facts use a neuron.

The names that users give are resolved to ids here. If nothing matches, the error says what there
is. Reads only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import duckdb

from kndb.errors import NotFound, UsageError
from kndb.neurons import Neuron
from kndb.plain import is_text, is_whole
from kndb.store.knowledge_sql import (
    BY_PLACE,
    DIRECTIONS,
    FACT_LANGS,
    KNOWLEDGE,
    LANGS,
    LIKELIEST,
    MOST_FACTS_FIRST,
    MOST_USED,
    NEURON_COLUMNS,
    NEURONS,
    OF_FACTS,
    OF_NEURONS,
    PAGE,
    REACHED,
    ROWS,
    RUNS,
    SIZES,
    SIZES_OF_TOP,
    SPOKEN,
    TOP,
    WORDS,
)
from kndb.store.lookup import (
    Names,
    find_answers,
    find_facts,
    find_models,
    find_relations,
    several,
)
from kndb.store.most_used import BATCH_ROWS, MANY, most_used
from kndb.store.refine import REFINED, REFINED_OF_FACTS, check_thresholds, one_of, stored
from kndb.store.result import Result
from kndb.store.runs import StoredRun, chosen_runs, read_runs
from kndb.store.window import ALL, Window, read_window

if TYPE_CHECKING:
    import pyarrow as pa

Neurons = str | Neuron | Sequence[str | Neuron]
Layers = int | Sequence[int]


@dataclass(frozen=True)
class Question:
    """What is asked, by the names users give; ``kndb.query.Database.query`` documents them."""

    fact: Names | None = None
    relation: Names | None = None
    answer: Names | None = None
    lang: Names | None = None
    layer: Layers | None = None
    neuron: Neurons | None = None
    model: Names | None = None
    run: str | int | None = None
    tau: float | None = None
    share: float | None = None
    top: int | None = None


def knowledge_neurons(
    connection: duckdb.DuckDBPyConnection, question: Question, window: Window = ALL
) -> Result:
    """The neurons, one row for each fact, language and run; see ``kndb.query.Database.query``."""
    window.check(())
    shown = TOP if question.top is not None else ""
    reached, facts, total = "", "fact", "count(*) FROM every"
    page = "NOT MATERIALIZED (FROM every)"
    if window.last is not None:
        sizes = SIZES_OF_TOP if question.top is not None else SIZES
        reached = REACHED.format(sizes=sizes, last=window.last)
        shown = f"SEMI JOIN reached USING (fact_id) {shown}"
        facts, total = "reached", "CAST(sum(n) AS BIGINT) FROM sized"
    if cut := window.cut():
        page = PAGE.format(facts=facts, cut=cut)
    sql = ROWS.format(reached=reached, shown=shown, page=page, facts=facts, total=total)
    read = partial(read_window, window=window)
    return _Asked(connection, question).rows(sql, read)


def neurons_used(
    connection: duckdb.DuckDBPyConnection,
    question: Question,
    window: Window = ALL,
    *,
    directions: bool = False,
) -> Result:
    """The neurons with their numbers of facts; see ``kndb.query.Database.neurons``."""
    window.check(NEURON_COLUMNS)
    counted = window.column in ("n_facts", "n_relations")
    order = window.order(MOST_FACTS_FIRST if counted or window.sort is None else BY_PLACE)
    candidates = page = last = ""
    if window.sort is None:
        page = f"{order} {window.cut()}"
        if window.last is not None:
            candidates = LIKELIEST.format(last=window.last)
    elif window.column == "n_facts":
        page = f"{order} {window.cut()}"
    elif window.column == "n_relations":
        last = window.cut()
    else:
        candidates = f"{order} {window.cut()}"
    asked, total = _Asked(connection, question, by_neuron=True), None
    if window.last is not None and window.sort in (None, "-n_facts"):
        total = asked.narrow(window.last)
    sql = NEURONS.format(
        total="(SELECT count(*) FROM known)" if total is None else total,
        candidates=candidates,
        page=page,
        order=f"{order} {last}",
        tokens="promotes, suppresses," if directions else "",
        directions=DIRECTIONS if directions else "",
    )
    return asked.rows(sql, partial(read_window, window=window))


def words_contributing(connection: duckdb.DuckDBPyConnection, question: Question) -> Result:
    """The words of prompts with their contributions; see ``kndb.query.Database.words``."""
    return _AskedWords(connection, question).rows(WORDS)


def fact_langs(connection: duckdb.DuckDBPyConnection, question: Question) -> Result:
    """``fact_id, lang`` of the facts that use such a neuron in a language."""
    return _Asked(connection, question).rows(FACT_LANGS)


def rows_of(connection: duckdb.DuckDBPyConnection, question: Question, sql: str) -> Result:
    """The answer of ``sql``, which goes on after the CTEs ``knowledge`` and ``asked``.

    ``asked`` has a row ``run_id, fact_id, lang, layer, neuron, score, support`` for each knowledge
    neuron that is meant; ``knowledge`` those of all neurons and languages of these facts.

    Raises:
        NotFound: it has no rows.
        UsageError: a value of the question is out of range.
    """
    return _Asked(connection, question).rows(sql)


def _where(conditions: dict[str, str], params: dict[str, Any]) -> str:
    """The conditions whose parameters are given."""
    given = [sql for name, sql in conditions.items() if params[name] is not None]
    return f"WHERE {' AND '.join(given)}" if given else ""


class _Asked:
    """A question whose names are resolved to ids; ``by_neuron``: its rows are those of neurons."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, question: Question, *, by_neuron: bool = False
    ) -> None:
        _check(question)
        self._connection = connection
        self._by_neuron = by_neuron
        self._question = question
        relations, neurons = question.relation, question.neuron
        self._params: dict[str, Any] = {
            "facts": find_facts_and_answers(connection, question.fact, question.answer),
            "relations": None if relations is None else find_relations(connection, relations),
            "langs": None if question.lang is None else lower_langs(question.lang),
            "layers": None if question.layer is None else _layers(question.layer),
            "neurons": None if neurons is None else parse_neurons(neurons),
            "tau": question.tau,
            "share": question.share,
            "top": question.top,
            "runs": chosen_runs(connection, question.run, self._models),  # last: it may note
        }

    def rows(
        self, sql: str, read: Callable[[duckdb.DuckDBPyConnection], Result] = Result.read
    ) -> Result:
        """The answer of ``sql``, which selects from ``asked``.

        Raises:
            NotFound: it has no rows; the error says which runs have some, or what there is.
        """
        found = read(self._execute(sql, self._params))
        if not found:
            raise self._elsewhere() or self._nothing()
        return found

    def narrow(self, last: int) -> int | None:
        """Ask only for the neurons that most facts use, if there are too many rows to group.

        Args:
            last: how many neurons of each run are wanted.

        Returns:
            How many neurons there were; None if the question stays as it was.
        """
        run_ids = self._params["runs"]
        selected = any(self._params[name] is not None for name in (*OF_FACTS, "neurons"))
        ((rows,),) = self._connection.execute("SELECT count(*) FROM knowledge_neuron").fetchall()
        if rows < MANY or selected or not self._stored(run_ids):
            return None
        n_known, names = 0, []
        for run in read_runs(self._connection, run_ids):
            found = most_used(partial(self._cells, run), run.population, last)
            n_known += found.n_known
            names += [str(Neuron(*divmod(cell, run.n_neurons))) for cell in found.cells]
        self._params["neurons"] = names or None
        return n_known

    def _cells(self, run: StoredRun, order: str) -> pa.RecordBatchReader:
        """``cell, fact_id`` of what is asked for in a run."""
        cell = f"CAST(layer AS INTEGER) * {run.n_neurons} + neuron AS cell"
        asked = {**self._params, "runs": [run.run_id]}
        found = self._execute(f"SELECT {cell}, fact_id FROM asked {order}", asked)
        return found.to_arrow_reader(BATCH_ROWS)

    @cached_property
    def _models(self) -> list[int] | None:
        asked = self._question.model
        return None if asked is None else find_models(self._connection, asked)

    def _execute(self, sql: str, params: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        """Run it with only the parameters it mentions, because DuckDB rejects extra ones."""
        layers = {"layers": one_of("layer", params["layers"] or ())}
        sql = (
            KNOWLEDGE.format(
                source=self._source(params["runs"]),
                knowledge=_where(OF_FACTS, params),
                asked=_where(OF_NEURONS | layers, params),
            )
            + sql
        )
        mentioned = set(re.findall(r"\$(\w+)", sql))
        used = {name: value for name, value in params.items() if name in mentioned}
        return self._connection.execute(sql, used)

    def _source(self, asked: list[int]) -> str:
        """What selects the neurons, and whether that is done once."""
        if self._stored(asked):
            table = "knowledge_by_neuron" if self._of_neurons() else "knowledge_neuron"
            return f"NOT MATERIALIZED ({stored(asked, table)})"
        return f"MATERIALIZED ({REFINED if self._params['facts'] is None else REFINED_OF_FACTS})"

    def _of_neurons(self) -> bool:
        """Whether few neurons are asked for, or the neurons of no facts in particular."""
        of_facts = any(self._params[name] is not None for name in OF_FACTS)
        return self._params["neurons"] is not None or (self._by_neuron and not of_facts)

    def _stored(self, asked: list[int]) -> bool:
        """Whether the neurons that are asked for are those stored when a run finishes."""
        as_run = self._question.tau is None and self._question.share is None
        return as_run and all(run.finished for run in read_runs(self._connection, asked))

    def _elsewhere(self) -> NotFound | None:
        """The error that names the runs which do have what was asked for, if there are any."""
        asked = self._params["runs"]
        others = [
            run.run_id
            for run in read_runs(self._connection)
            if run.run_id not in asked and (self._models is None or run.model_id in self._models)
        ]
        having = self._execute(RUNS, {**self._params, "runs": others}).fetchall()
        if not having:
            return None
        names = ", ".join(map(str, asked))
        have = f"Run {names} has" if len(asked) == 1 else f"The runs {names} have"
        runs = read_runs(self._connection, [run_id for (run_id,) in having])
        return NotFound(
            f"{have} nothing that matches, but others have; --run asks one of them.",
            [run.described for run in runs],
            "Runs that have it",
        )

    def _nothing(self) -> NotFound:
        """The error for no rows: is it the language, the neuron, or are there no neurons?"""
        langs = self._column(LANGS)
        asked = self._params["langs"]
        if asked is not None and langs and not {*asked} & {*map(str.lower, langs)}:
            one = "language" if len(asked) == 1 else "any of the languages"
            names = ", ".join(map(repr, asked))
            message = f"There are no matching neurons in {one} {names}."
            return NotFound.among(message, asked, langs, "Languages that there are")
        neurons = self._params["neurons"]
        if neurons is not None and langs:
            one = "neuron" if len(neurons) == 1 else "any of the neurons"
            return NotFound(
                f"None of these facts uses {one} {', '.join(neurons)}.",
                self._column(MOST_USED),
                "Neurons that most of them use",
            )
        if self._params["layers"] is not None and langs:
            layers = ", ".join(map(str, self._params["layers"]))
            return NotFound(f"None of these facts has a knowledge neuron in layer {layers}.")
        return NotFound(
            "The selected facts have no knowledge neurons in the selected runs; "
            "`kndb runs` lists what has been run."
        )

    def _column(self, sql: str) -> list[str]:
        return [value for (value,) in self._execute(sql, self._params).fetchall()]


class _AskedWords(_Asked):
    """A question about the words of prompts."""

    def _source(self, asked: list[int]) -> str:
        return f"MATERIALIZED ({SPOKEN})"

    def _nothing(self) -> NotFound:
        return NotFound(
            "The selected runs have no words of the selected facts and languages; "
            "`kndb ingest --words` stores them."
        )


def find_facts_and_answers(
    connection: duckdb.DuckDBPyConnection, fact: Names | None, answer: Names | None
) -> list[int] | None:
    """Ids of the facts that match both names; None if neither is given.

    Raises:
        NotFound: nothing matches.
    """
    if answer is None:
        return None if fact is None else find_facts(connection, fact)
    answered = find_answers(connection, answer)
    if fact is None:
        return answered
    found = sorted({*answered} & {*find_facts(connection, fact)})
    if not found:
        raise NotFound(f"No fact that matches {fact!r} has the answer {answer!r}.")
    return found


def lower_langs(asked: Names) -> list[str]:
    """Language codes in lower case; a text may hold several, with commas.

    Raises:
        UsageError: one is not valid Unicode.
    """
    for lang in several(asked):
        if not is_text(lang):
            raise UsageError(f"{lang!r} is not valid Unicode; give a language code, such as en.")
    return [part.strip() for lang in several(asked) for part in lang.lower().split(",")]


def _check(question: Question) -> None:
    check_thresholds(question.tau, question.share)
    check_top(question.top)


def check_top(top: object) -> None:
    """Refuse what is no number of rows.

    Raises:
        UsageError: it is neither None nor a whole number of at least 1.
    """
    if top is not None and not (is_whole(top) and top >= 1):
        raise UsageError(f"top is {top!r:.40}, but must be a whole number of at least 1.")


def _layers(asked: Layers) -> list[int]:
    many = isinstance(asked, Iterable) and not isinstance(asked, str)
    every: list[Any] = [*asked] if many else [asked]  # type: ignore[misc]
    for layer in every:
        if not is_whole(layer):
            raise UsageError(f"{layer!r:.40} is not a layer; give a whole number, counted from 0.")
    return list(map(int, every))


def parse_neurons(asked: Neurons) -> list[str]:
    """Neurons as ``LAYER:INDEX``.

    Raises:
        UsageError: one is none.
    """
    many = isinstance(asked, Iterable) and not isinstance(asked, str)
    every: list[Any] = [*asked] if many else [asked]  # type: ignore[misc]
    for one in every:
        if not isinstance(one, str | Neuron):
            raise UsageError(f"{one!r:.40} is not a neuron; write LAYER:INDEX, such as '9:1024'.")
    return [str(Neuron.parse(one) if isinstance(one, str) else one) for one in every]
