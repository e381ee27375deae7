"""Decides whether a statement is a harmless query. Opens no database and runs nothing.

DuckDB's parser is asked, never a prefix: a statement passes if ``json_serialize_sql`` can write it
down, which DuckDB does for SELECT statements alone (FROM, WITH, VALUES, SHOW, DESCRIBE and
SUMMARIZE are such), and if all table functions in it are known to be harmless. What EXPLAIN wraps
is judged in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

from kndb.errors import UsageError, with_hint

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "pragma_database_size",
        "pragma_storage_info",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
"""Table functions that read the database or count, and reach nothing else."""

SCALAR_FUNCTIONS_REFUSED = frozenset({"getenv", "write_log", "nextval", "currval"})
"""Functions that reach out of a query: into the environment, a log, or a sequence."""

LONGEST = 1_000_000
"""Characters of a statement: its parse tree takes some hundred times that many bytes."""

_EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(?:ANALY[SZ]E\b|\((?:[^()']|'[^']*')*\))?", re.IGNORECASE)
_COMMENT = re.compile(r"\s*(?:--[^\n]*(?:\n|\Z)|/\*.*?\*/)", re.DOTALL)
_CALLED = re.compile(r'"((?:[^"]|"")+)"\s*\(|([A-Za-z_][A-Za-z_0-9]*)\s*\(')


def judge(sql: str) -> None:
    """Refuse a statement that is not one harmless query.

    >>> judge("SELECT lang, count(*) FROM prompt GROUP BY lang")
    >>> judge("EXPLAIN ANALYSE COPY run TO 'elsewhere'")
    Traceback (most recent call last):
    kndb.errors.UsageError: Only queries can be run here, and this is COPY; write a SELECT.

    Raises:
        UsageError: it is not a single query, or uses a function that is not allowed.
    """
    if len(sql) > LONGEST:
        raise UsageError(
            f"The query is too long: {len(sql)} characters, and {LONGEST} are allowed."
        )
    statements = _statements(sql)
    kinds = [statement.type.name for statement in statements]
    if kinds == ["EXPLAIN"]:
        judge(_explained(sql))
    elif kinds == ["SELECT"]:
        _judge_select(statements[0].query)
    elif _is_pivot(sql, kinds):
        _judge_names(sql)
    elif len(kinds) != 1:
        raise UsageError(f"Give one SQL query at a time; {len(kinds)} statements were given.")
    else:
        raise _not_a_query(kinds[0])


def _statements(sql: str) -> list[duckdb.Statement]:
    if "\0" in sql:  # DuckDB's parser would stop there
        raise UsageError("The query holds a zero byte; leave it out.")
    if not sql.isascii() and any("\ud800" <= character <= "\udfff" for character in sql):
        raise UsageError("The query holds bytes that are not UTF-8 text; write it in UTF-8.")
    try:
        return duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(f"The SQL was refused: {with_hint(error)}") from error


def _not_a_query(kind: str) -> UsageError:
    return UsageError(f"Only queries can be run here, and this is {kind}; write a SELECT.")


def _explained(sql: str) -> str:
    """What an EXPLAIN statement wraps."""
    while comment := _COMMENT.match(sql):
        sql = sql[comment.end() :]
    found = _EXPLAIN.match(sql)
    if found is None:
        raise _not_a_query("EXPLAIN")
    return sql[found.end() :]


def _is_pivot(sql: str, kinds: list[str]) -> bool:
    """Whether it is one PIVOT statement, which DuckDB makes an ENUM type and a SELECT of."""
    if not kinds or kinds[-1] != "SELECT" or set(kinds[:-1]) != {"CREATE"}:
        return False
    statement = sql.rstrip().removesuffix(";")
    tokens, text = duckdb.tokenize(statement), statement.encode()  # tokens count bytes
    code = [text[at : at + 1] for at, kind in tokens if kind == duckdb.token_type.operator]
    words = [at for at, kind in tokens if kind != duckdb.token_type.comment]
    first = re.match(r"\w+", text[words[0] :].decode()) if words else None
    return b";" not in code and first is not None and first[0].upper() in ("PIVOT", "FROM", "WITH")


def _scratch() -> duckdb.DuckDBPyConnection:
    """A connection to an empty database in memory, which is made once: that takes 20 ms."""
    return _empty_database().cursor()


@cache
def _empty_database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})  # no threads of its own: it can be forked


def _judge_select(query: str) -> None:
    quoted = query.replace("'", "''")  # a parameter would import NumPy, 0.1 s
    with _scratch() as scratch:
        row = scratch.execute(f"SELECT json_serialize_sql('{quoted}')").fetchone()
    assert row is not None
    try:
        tree = json.loads(row[0])
    except RecursionError as error:
        raise UsageError("The query is nested too deeply; simplify it.") from error
    if tree["error"]:
        if tree.get("error_type") == "not implemented":
            raise _not_a_query("a PRAGMA or the like")
        raise UsageError(f"The SQL was refused: {tree['error_message']}")
    for kind, name in _functions(tree):
        _judge_function(kind, name)


def _functions(tree: Any) -> Iterator[tuple[str, str]]:
    """Every function of a parse tree: ``table`` or ``scalar``, and its name."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
            if node.get("type") == "TABLE_FUNCTION":
                function = node.get("function") or {}
                yield "table", str(function.get("function_name", "")).lower()
            elif node.get("class") == "FUNCTION":
                yield "scalar", str(node.get("function_name", "")).lower()


def _judge_function(kind: str, name: str) -> None:
    refused = name in SCALAR_FUNCTIONS_REFUSED or (kind == "table" and name not in TABLE_FUNCTIONS)
    if refused:
        raise UsageError(
            f"The function {name!r} cannot be used here; of the table functions there are "
            f"{', '.join(sorted(TABLE_FUNCTIONS))}."
        )


def _judge_names(sql: str) -> None:
    """Judge by name alone what the parser does not write down: every table function by its name."""
    with _scratch() as scratch:
        rows = scratch.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
            "WHERE function_type IN ('table', 'table_macro', 'pragma')"
        ).fetchall()
    known = {name for (name,) in rows}
    for quoted, bare in _CALLED.findall(sql):
        name = (quoted.replace('""', '"') or bare).lower()
        _judge_function("table" if name in known else "scalar", name)
