"""Queries in SQL, each in a process of its own that can only read this database."""

from __future__ import annotations

from itertools import groupby

from kndb.errors import KndbError, UsageError
from kndb.plain import unique
from kndb.store.result import Result
from kndb.store.sandbox import Limits, Workers, run_apart
from kndb_serve.asked import MOST_DATA
from kndb_serve.page import Card, Cards, Form, Note, Outline, Page, Part, Table, Text
from kndb_serve.view import NOTHING, View

MOST_SQL = 8_000
"""Characters of a query: servers between, and chat programs, cut longer addresses."""

_MOST_SHOWN = 10_000
"""Rows of an answer that HTML sorts and pages through."""

_SECONDS = 10.0
_MEMORY = 512 * 2**20

_EXAMPLES = {
    "Neurons by layer": "SELECT layer, count(DISTINCT neuron) AS neurons, "
    "count(DISTINCT fact_id) AS facts\nFROM knowledge_neuron GROUP BY layer ORDER BY layer",
    "Answers the model is unsure of": "SELECT lang, text, predicted, p_answer\n"
    "FROM prediction JOIN prompt USING (prompt_id)\nWHERE rank = 1 ORDER BY p_answer LIMIT 20",
    "Facts in the most languages": "SELECT fact_key, count(DISTINCT lang) AS languages, "
    "count(*) AS prompts\nFROM prompt JOIN fact USING (fact_id)\n"
    "GROUP BY fact_key ORDER BY languages DESC, fact_key LIMIT 20",
}


def sql_page(workers: Workers, view: View) -> Page:
    """A query and its answer, with the schema beside it.

    Args:
        workers: run it.
        view: what is asked of what.

    Raises:
        UsageError: as data, the query was refused or took too much; HTML says so above the query.
        KndbError: the database cannot be read, or the server ends.
    """
    asked = view.asked.text("q")
    html = view.asked.form == "html"
    parts: list[Part] = [Form([Text("q", "Query", asked or "", MOST_SQL)], verb="Run")]
    status = 200
    if asked is None:
        workers.prepare()  # a query is likely to follow
        parts.append(_examples(view))
    else:
        try:
            most = _MOST_SHOWN if html else MOST_DATA
            parts.append(_answer(workers, view, asked, most))
        except KndbError as error:
            if type(error) not in (UsageError, KndbError):  # not for the query's sake
                raise
            if not html:
                raise UsageError(str(error)) from error
            status = 400
            parts.append(Note(str(error), alert=True))
    if asked is None and not html:
        parts.append(Table("answer", "Answer", NOTHING, empty="No query was given, as ?q=..."))
    lead = (
        f"Read-only, up to {_SECONDS:.0f} seconds and {_MEMORY // 2**20} MiB. "
        "The address of an answer can be shared."
    )
    return Page("SQL", "query", parts, lead, aside=[_schema(view)] if html else (), status=status)


def _answer(workers: Workers, view: View, asked: str, most: int) -> Table:
    answer = run_apart(view.db.path, asked, Limits(_SECONDS, _MEMORY, most), workers.take)
    found = answer.result
    rows = Result(tuple(unique(found.columns)), found.types, found.rows())
    about = f"The answer has more rows; these are the first {most:,}." if answer.cut else ""
    return Table(
        "answer",
        "Answer",
        rows,
        about,
        "The query has no rows.",
        heads={name: name for name in rows.columns},
    )


def _examples(view: View) -> Cards:
    cards = [Card(name, sql, view.link("sql", q=sql)) for name, sql in _EXAMPLES.items()]
    return Cards("For example", cards)


def _schema(view: View) -> Outline:
    rows = view.remember("schema", view.db.schema).to_dicts()
    groups = []
    for name, of_table in groupby(rows, key=lambda row: str(row["name"])):
        own, *columns = of_table
        entries = [(row["column"], row["type"].lower(), row["comment"] or "") for row in columns]
        groups.append((name, own["comment"] or "", entries))
    return Outline("Tables and views", groups)
