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

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb

from kndb.analyses import Analyses
from kndb.store.database import connect
from kndb.store.knowledge import (
    Layers,
    Neurons,
    Question,
    knowledge_neurons,
    neurons_used,
    words_contributing,
)
from kndb.store.listings import (
    count_contents,
    describe_run,
    list_datasets,
    list_facts,
    list_languages,
    list_models,
    list_relations,
    list_work,
)
from kndb.store.locks import keep, let_go
from kndb.store.lookup import Names
from kndb.store.readonly import reading, run_sql
from kndb.store.result import Result
from kndb.store.runs import StoredRun, find_run, killed, read_runs, with_models
from kndb.store.window import Window

if TYPE_CHECKING:
    from kndb.store.run_diff import DiffBy, Difference

# Imports within methods are deferred: together they take 8 ms, and most queries need none.


class Database(Analyses):
    """A database opened for reading. Use it in a ``with`` block, or call ``close``.

    It can be given wherever kndb takes a database's path.
    """

    def __init__(self, path: str | PathLike[str], *, wait: float = 10.0) -> None:
        self.path = Path(path)
        self._connection = connect(self.path, wait=wait)
        keep(self)

    def query(
        self,
        fact: Names | None = None,
        relation: Names | None = None,
        lang: Names | None = None,
        neuron: Neurons | None = None,
        model: Names | None = None,
        run: str | int | None = None,
        tau: float | None = None,
        share: float | None = None,
        top: int | None = None,
        *,
        answer: Names | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Result:
        """Knowledge neurons of facts, or the facts that use a neuron.

        ``fact``, ``relation``, ``answer``, ``lang``, ``neuron`` and ``model`` take one or several,
        of which any may match.

        Args:
            fact: a key (``P36:Q142``, ``capital:France``), a prompt in any language (``The capital
                of France is [MASK].``, or with the answer), or words of the subject in any
                language.
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
            answer: an answer in any language, or words of it: ``Porto-Novo``.
            limit: at most this many rows; the labels of others are not read. The result's ``total``
                counts all.
            offset: rows left out before these.

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
        asked = Question(
            fact=fact,
            relation=relation,
            answer=answer,
            lang=lang,
            neuron=neuron,
            model=model,
            run=run,
            tau=tau,
            share=share,
            top=top,
        )
        with reading(self._connection):
            found = knowledge_neurons(self._connection, asked, Window(limit, offset))
            return with_models(self._connection, found)

    def facts(
        self,
        words: str | None = None,
        relation: Names | None = None,
        lang: Names | None = None,
        answer: Names | None = None,
        layer: Layers | None = None,
        model: Names | None = None,
        run: str | int | None = None,
        limit: int | None = None,
        offset: int = 0,
        sort: str | None = None,
    ) -> Result:
        """Facts in each of their languages.

        Args:
            words: words of the subject or the answer, a key or a prompt; exact matches come first.
            relation, lang, answer: as in ``query``.
            layer: only facts with a knowledge neuron in this layer, or in one of these.
            model, run: only facts with knowledge neurons in such a run.
            limit: at most this many rows; others are not read. The result's ``total`` counts all.
            offset: rows left out before these.
            sort: a column to sort by: ``subject``, or ``-subject`` for descending.

        Returns:
            Columns ``fact_key, relation, lang, subject, answer, prompts, dataset``.

        Raises:
            NotFound: nothing matches; the error carries the nearest matches.
            UsageError: a value is out of range.
        """
        window = Window(limit, offset, sort)
        with reading(self._connection):
            return list_facts(
                self._connection, words, relation, lang, answer, layer, model, run, window
            )

    def neurons(
        self,
        layer: Layers | None = None,
        fact: Names | None = None,
        relation: Names | None = None,
        answer: Names | None = None,
        lang: Names | None = None,
        model: Names | None = None,
        run: str | int | None = None,
        tau: float | None = None,
        share: float | None = None,
        limit: int | None = None,
        offset: int = 0,
        sort: str | None = None,
        *,
        directions: bool = False,
    ) -> Result:
        """Knowledge neurons with their numbers of facts, those with the most facts first.

        Args:
            layer: only neurons of this layer, or of these.
            fact, relation, answer, lang, model, run, tau, share: as in ``query``.
            limit, offset, sort: as in ``facts``.
            directions: with columns ``promotes, suppresses`` before ``model``, the tokens of
                ``directions`` in one text; empty where none are stored.

        Returns:
            Columns ``layer, neuron, n_facts, n_relations, n_langs, langs, score, model, run_id``.
            ``score`` is the mean over facts and languages.

        Raises:
            NotFound: nothing matches.
        """
        asked = Question(
            fact=fact,
            relation=relation,
            answer=answer,
            lang=lang,
            layer=layer,
            model=model,
            run=run,
            tau=tau,
            share=share,
        )
        with reading(self._connection):
            window = Window(limit, offset, sort)
            found = neurons_used(self._connection, asked, window, directions=directions)
            return with_models(self._connection, found)

    def directions(
        self, neuron: Neurons, model: Names | None = None, run: str | int | None = None
    ) -> Result:
        """The tokens that neurons push up and down most, where ``ingest --directions`` stored them.

        A neuron's row of the down projection, times the output embedding, is what one unit of its
        activation adds to each token's logit (Geva et al. 2022); see ``kndb.models.vocabulary``.

        Args:
            neuron, model: as in ``query``.
            run: of this run's model.

        Returns:
            Columns ``layer, neuron, rank, token, logit, model``: from rank 1, pushed up most, and
            from rank -1, pushed down most.

        Raises:
            NotFound: none are stored of these neurons.
        """
        from kndb.store.directions import directions_of

        with reading(self._connection):
            return directions_of(self._connection, neuron, model, run)

    def words(
        self,
        fact: Names | None = None,
        relation: Names | None = None,
        lang: Names | None = None,
        answer: Names | None = None,
        model: Names | None = None,
        run: str | int | None = None,
    ) -> Result:
        """What each word of a prompt contributes, from runs that store it (``ingest --words``).

        Args:
            fact, relation, lang, answer, model, run: as in ``query``.

        Returns:
            Columns ``fact_key, lang, text, answer, p_answer, position, word, contribution,
            by_layer, model, run_id``, a row for each word, in the order of the text.
            ``contribution`` is the sum of the word's scores over all neurons, as ``by_word`` of an
            attribution has it, and ``by_layer`` lists it for each layer.

        Raises:
            NotFound: nothing matches, or no such run stores words.
        """
        asked = Question(
            fact=fact, relation=relation, lang=lang, answer=answer, model=model, run=run
        )
        with reading(self._connection):
            return words_contributing(self._connection, asked)

    def layers(
        self,
        fact: Names | None = None,
        relation: Names | None = None,
        lang: Names | None = None,
        run: str | int | None = None,
        tau: float | None = None,
        share: float | None = None,
    ) -> Result:
        """Knowledge neurons counted by layer.

        Args:
            fact, relation, lang, run, tau, share: as in ``query``.

        Returns:
            Columns ``layer, n_neurons, n_facts, n_relations, score``; layers without neurons are
            left out. ``score`` is the mean over neurons, facts and languages.

        Raises:
            NotFound: nothing matches.
        """
        from kndb.store.layers import neurons_by_layer

        asked = Question(fact=fact, relation=relation, lang=lang, run=run, tau=tau, share=share)
        with reading(self._connection):
            return neurons_by_layer(self._connection, asked)

    def neuron_cells(
        self,
        run: str | int,
        cells: int = 128,
        relation: Names | None = None,
        lang: Names | None = None,
    ) -> Result:
        """The map of a run's knowledge neurons: each layer cut into cells of equal width.

        Args:
            run: a run's id or name.
            cells: of each layer.
            relation, lang: as in ``query``.

        Returns:
            Columns ``layer, cell, n_neurons, n_facts, n_relations, neuron`` for each cell with
            neurons: their number, the most facts and relations that one of them has, and the index
            of the one with the most facts.

        Raises:
            NotFound: nothing matches.
        """
        from kndb.store.layers import neuron_cells

        asked = Question(relation=relation, lang=lang, run=run)
        with reading(self._connection):
            return neuron_cells(self._connection, asked, cells)

    def layer_scores(self, fact: Names, run: str | int) -> Result:
        """A fact's raw scores, summed by language and layer.

        Returns:
            Columns ``lang, layer, n_neurons, score``: the neurons whose raw scores are stored, and
            the sum of these scores, mean over the fact's prompts. No rows for imported neurons.

        Raises:
            NotFound: there is no such fact or run.
        """
        from kndb.store.layers import layer_scores

        with reading(self._connection):
            return layer_scores(self._connection, fact, run)

    def answers(self, fact: Names, run: str | int) -> Result:
        """A fact's prompts in every language, and what the model of a run answered to each.

        Returns:
            Columns ``lang, subject, text, answer, predicted, rank, p_answer, n_answer_tokens,
            completeness, score_error, status, reason``.

        Raises:
            NotFound: there is no such fact or run.
        """
        from kndb.store.answers import answers_to

        with reading(self._connection):
            return answers_to(self._connection, fact, run)

    def accuracy(
        self, run: str | int, relation: Names | None = None, lang: Names | None = None
    ) -> Result:
        """How often the model of a run was right, by relation and language.

        Returns:
            Columns ``relation_id, relation, lang, facts, done, not_done, accuracy, p_answer``:
            prompts done and not, the share with the answer as first choice, and the answer's mean
            probability.

        Raises:
            NotFound: there is no such run, relation or language.
        """
        from kndb.store.answers import accuracies

        with reading(self._connection):
            return accuracies(self._connection, run, relation, lang)

    def neighbours(self, neuron: Neurons, run: str | int, top: int = 20) -> Result:
        """Neurons that share the most facts with a neuron.

        Returns:
            Columns ``layer, neuron, n_shared, n_facts, expected``: the facts that both have in any
            language, those of the neighbour, and how many would be shared if the facts of both
            were drawn at random.

        Raises:
            NotFound: the neuron has no fact in the run.
        """
        from kndb.store.sharing import neighbours

        with reading(self._connection):
            return neighbours(self._connection, Question(neuron=neuron, run=run), top)

    def most_shared(self, run: str | int, top: int = 20) -> Result:
        """Facts with the most language-independent neurons, those of the most languages first.

        Returns:
            Columns ``fact_key, relation, subject, answer, n_langs, n_shared``: the languages in
            which the fact has neurons, at least two, and the neurons that all of these share.

        Raises:
            NotFound: no fact has a neuron in all of its languages.
        """
        from kndb.store.sharing import most_shared

        with reading(self._connection):
            return most_shared(self._connection, Question(run=run), top)

    def suggest(self, typed: str, limit: int = 8) -> Result:
        """Completes what somebody types.

        Returns:
            Columns ``kind, name, facts``: subjects, answers, relations and keys that contain the
            text, those that begin with it first.
        """
        from kndb.store.suggestions import suggest

        with reading(self._connection):
            return suggest(self._connection, typed, limit)

    def diff(self, one: str | int, other: str | int, by: DiffBy = "layer") -> Difference:
        """Two runs against each other: neurons shared, gained and lost, and scores.

        Facts are compared in the languages in which both runs asked them.

        Args:
            one, other: a run's id, or its first digits; or a model or a preset, for its newest
                finished run.
            by: ``all``, ``layer``, ``fact``, ``relation``, ``language``; or ``neuron``, for the
                neurons gained and lost.

        Raises:
            NotFound: there is no such run.
            UsageError: both are the same run, or their models differ in size.
        """
        from kndb.store.run_diff import diff_runs

        with reading(self._connection):
            return diff_runs(self._connection, one, other, by)

    def relations(self) -> Result:
        """Relations: columns ``relation_id, label, facts, langs``."""
        with reading(self._connection):
            return list_relations(self._connection)

    def languages(self) -> Result:
        """Languages: columns ``lang, facts, relations, prompts``."""
        with reading(self._connection):
            return list_languages(self._connection)

    def models(self) -> Result:
        """Models: columns ``name, architecture, family, n_layers, n_neurons, runs``."""
        with reading(self._connection):
            return list_models(self._connection)

    def datasets(self) -> Result:
        """Data sets: columns ``name, format, facts, runs``."""
        with reading(self._connection):
            return list_datasets(self._connection)

    def schema(self) -> Result:
        """Tables and views with their columns: ``name, kind, column, type, comment``.

        A table's own line has neither ``column`` nor ``type``.
        """
        from kndb.store.describe import SchemaRow, schema_of

        with reading(self._connection):
            rows = schema_of(self._connection)
        return Result(SchemaRow._fields, ("VARCHAR",) * len(SchemaRow._fields), list(rows))

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
        with reading(self._connection):
            return list_work(self._connection, "run")

    def stored_runs(self) -> list[StoredRun]:
        """All runs, the newest first, with their models' sizes and settings. It counts nothing."""
        with reading(self._connection):
            return read_runs(self._connection)

    def searches(self) -> Result:
        """All searches for degenerate neurons, the newest last, from the view ``searches``.

        A search whose process was killed is interrupted here; in the view it stays running.
        """
        with reading(self._connection):
            return list_work(self._connection, "degenerate_search")

    def run(self, run: str | int) -> Result:
        """One run in one row: all that ``runs`` has, its model, data, settings, and what used it.

        Args:
            run: its id, or its first digits.

        Raises:
            NotFound: there is no such run.
            UsageError: several ids begin like this.
        """
        with reading(self._connection):
            run_id = find_run(self._connection, run)
            gone = run_id in killed(self._connection, "run")
            return describe_run(self._connection, run_id, killed=gone)

    def interrupt(self) -> None:
        """End what it is answering, from another thread; there, a KndbError is raised."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        let_go(self)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        try:
            counts = count_contents(self._connection)
        except duckdb.Error:
            return f"<Database {self.path}: closed>"
        return f"<Database {self.path}: {', '.join(counts)}>"

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open(path: str | PathLike[str], *, wait: float = 10.0) -> Database:
    """Open a database for reading, upgrading it first if it is old. Public as ``kndb.open``.

    Args:
        path: the database file.
        wait: seconds to keep trying while another process is writing.

    Raises:
        DatabaseError: the file cannot be opened; see ``kndb.store.database.connect``.
    """
    return Database(path, wait=wait)
