"""Nothing but a harmless query passes, however it is wrapped."""

from __future__ import annotations

from itertools import product

import duckdb
import pytest

from kndb.errors import UsageError
from kndb.store.sandbox.judge import TABLE_FUNCTIONS, judge

WRITES = [
    "COPY (SELECT 1) TO 'k.duckdb' (USE_TMP_FILE false)",
    "COPY (SELECT 1) TO 'k.duckdb.wal' (FORMAT blob)",
    "COPY run TO '/dev/stdout'",
    "COPY run FROM 'x.csv'",
    "CREATE TABLE x (a INTEGER)",
    "CREATE TEMP TABLE run AS SELECT 1",
    "CREATE OR REPLACE VIEW runs AS SELECT 1",
    "CREATE MACRO m(a) AS a",
    "CREATE TYPE t AS ENUM ('a')",
    "CREATE SEQUENCE s",
    "CREATE SCHEMA s",
    "CREATE INDEX i ON run (run_id)",
    "CREATE SECRET (TYPE s3)",
    "INSERT INTO run VALUES (1)",
    "INSERT INTO run SELECT * FROM run RETURNING *",
    "UPDATE run SET status = 'x' RETURNING *",
    "DELETE FROM run RETURNING *",
    "MERGE INTO run USING run AS r ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE run",
    "DROP TABLE run",
    "ALTER TABLE run ADD COLUMN x INTEGER",
    "COMMENT ON TABLE run IS 'x'",
    "ATTACH 'x.duckdb'",
    "DETACH k",
    "USE memory",
    "EXPORT DATABASE 'x'",
    "IMPORT DATABASE 'x'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "UPDATE EXTENSIONS",
    "SET memory_limit = '100GB'",
    "SET VARIABLE x = 1",
    "RESET threads",
    "PRAGMA enable_profiling",
    "PRAGMA profiling_output = 'x'",
    "CALL pragma_version()",
    "CALL enable_logging()",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
]
WRAPPERS = [
    "{}",
    "EXPLAIN {}",
    "EXPLAIN ANALYZE {}",
    "explain analyse {}",
    "EXPLAIN (ANALYZE) {}",
    "EXPLAIN (ANALYSE, FORMAT json) {}",
    "/* a */ EXPLAIN -- b\n ANALYSE {}",
    "SELECT 1; {}",
    "{}; SELECT 1",
]


@pytest.mark.parametrize(
    ("statement", "wrapper"), list(product(WRITES, WRAPPERS)), ids=lambda text: text[:40]
)
def test_what_writes_is_refused_in_every_wrapper(statement: str, wrapper: str) -> None:
    with pytest.raises(UsageError) as refused:
        judge(wrapper.format(statement))
    assert "\n" not in str(refused.value)


def functions() -> list[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'table'"
        ).fetchall()
    return sorted({name.lower() for (name,) in rows} - TABLE_FUNCTIONS)


@pytest.mark.parametrize("name", functions())
def test_every_other_table_function_of_this_duckdb_is_refused(name: str) -> None:
    for sql in (
        f"FROM {name}()",
        f'SELECT * FROM "{name.upper()}"(1)',
        f"EXPLAIN ANALYSE SELECT 1 WHERE 1 IN (SELECT 1 FROM {name}('x'))",
        f"WITH a AS (FROM {name}()) PIVOT a ON preset USING count(*)",
        f"SELECT 1 UNION ALL BY NAME (SELECT * FROM run, LATERAL (FROM {name}(run_id)))",
    ):
        with pytest.raises(UsageError):
            judge(sql)


@pytest.mark.parametrize("name", ["getenv", "write_log", "nextval", "currval"])
def test_functions_that_reach_out_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"function '{name}'"):
        judge(f"SELECT list_transform([1], x -> {name}('x'))")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM runs",
        "FROM runs",
        "TABLE runs",
        "WITH f AS (SELECT 1) SELECT * FROM f",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 9) FROM t",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "DESCRIBE knowledge_neurons",
        "DESCRIBE SELECT 1",
        "SUMMARIZE attribution",
        "EXPLAIN SELECT * FROM runs",
        "EXPLAIN ANALYZE SELECT * FROM runs",
        "EXPLAIN (FORMAT json) SELECT ')' FROM runs",
        "-- first a remark\nEXPLAIN /* and another */ SELECT 1",
        "VALUES (1)",
        "  select 1 ; -- done",
        "PIVOT run ON preset USING count(*)",
        "PIVOT run ON preset IN ('amig') USING count(*)",
        "PIVOT (SELECT preset AS née FROM run) ON née USING count(*);",
        "FROM run PIVOT (count(*) FOR preset IN ('amig'))",
        "UNPIVOT run ON preset INTO NAME n VALUE v",
        "SELECT * FROM range(3), generate_series(1, 2), unnest([1])",
        "SELECT 'COPY run TO x; DROP TABLE run'",
        'SELECT 1 AS "DROP TABLE run"',
    ],
)
def test_every_way_to_ask_passes(sql: str) -> None:
    judge(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing but a remark",
        "SELEC 1",
        "SELECT '" + "x" * 1_000_000 + "'",
        "SELECT " + "(SELECT " * 3000 + "1" + ")" * 3000,
        "SELECT " + "-" * 20000 + "1",
        "SELECT " + "[" * 3000,
        "\x00",
        "SELECT \ud800",
    ],
    ids=range(9),
)
def test_what_cannot_be_read_is_refused_in_a_sentence(sql: str) -> None:
    with pytest.raises(UsageError) as refused:
        judge(sql)
    assert len(str(refused.value)) < 1000
