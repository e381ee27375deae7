"""Users' SQL is answered, and can neither change nor reach anything."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import kndb
from kndb.errors import DatabaseCorrupt, KndbError, UsageError
from kndb.store import database
from small_store import finished_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    return path


@pytest.fixture
def db(path: Path) -> Iterator[kndb.Database]:
    with kndb.open(path) as database:
        yield database


FORBIDDEN = [
    "INSERT INTO relation VALUES ('P1', 'one')",
    "UPDATE run SET status = 'x'",
    "DELETE FROM run",
    "DROP TABLE run",
    "ALTER TABLE run ADD COLUMN x INTEGER",
    "CREATE TABLE x (a INTEGER)",
    "CREATE TEMP TABLE x (a INTEGER)",
    "CREATE OR REPLACE VIEW runs AS SELECT 1",
    "ATTACH '{other}'",
    "ATTACH ':memory:' AS scratch",
    "COPY run TO '{other}'",
    "COPY (SELECT 1) TO '{path}' (FORMAT csv, USE_TMP_FILE false)",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{path}' (FORMAT csv, USE_TMP_FILE false)",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{path}' (FORMAT csv, USE_TMP_FILE false)",
    "EXPORT DATABASE '{other}'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/*')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "RESET threads",
    "PRAGMA enable_profiling",
    "PRAGMA profiling_output = '{other}'",
    "CALL pragma_version()",
    "CHECKPOINT",
    "BEGIN",
    "SELECT * FROM python_rows",
    "SELECT 1; DROP TABLE run",
    "",
    "-- nothing but a comment",
    "SELEC 1",
    "SELECT * FROM no_such_table",
    "SELECT ? + 1",
    "SELECT CAST('x' AS INTEGER)",
]

python_rows = {"a": [1, 2]}


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_what_is_no_harmless_query_is_refused_in_a_sentence(
    tmp_path: Path, path: Path, sql: str
) -> None:
    other = tmp_path / "other"
    before = hashlib.sha256(path.read_bytes()).digest()
    with kndb.open(path) as db, pytest.raises(UsageError) as refused:
        db.sql(sql.format(path=path, other=other))
    assert "\n" not in str(refused.value)
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert not other.exists()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM runs",
        "FROM runs",
        "WITH f AS (SELECT 1) SELECT * FROM f",
        "SHOW TABLES",
        "DESCRIBE knowledge_neurons",
        "SUMMARIZE attribution",
        "EXPLAIN SELECT * FROM runs",
        "VALUES (1)",
        "  select 1 ; -- done",
    ],
)
def test_every_way_to_ask_is_answered(db: kndb.Database, sql: str) -> None:
    assert len(db.sql(sql)) > 0


def test_values_are_bound_not_pasted(db: kndb.Database) -> None:
    hostile = "x'; DROP TABLE run; --"
    assert db.sql("SELECT ? AS a, $1 AS b", [hostile]).rows() == [(hostile, hostile)]
    assert db.sql("SELECT $name AS a", {"name": hostile}).rows() == [(hostile,)]


def test_an_error_is_duckdbs_first_line(db: kndb.Database) -> None:
    with pytest.raises(
        UsageError, match=r"^The SQL was refused: Catalog Error: .*no_such"
    ) as found:
        db.sql("SELECT * FROM no_such")
    assert found.value.exit_code == 2


def test_a_query_too_big_for_memory_fails_in_a_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(database._READER, "memory_limit", "50MB")
    with kndb.open(path) as db, pytest.raises(KndbError, match="more memory") as failed:
        db.sql("SELECT list(a ORDER BY a) FROM range(100_000_000) AS r(a)")
    assert "\n" not in str(failed.value)


ENDLESS = """
import signal, kndb
signal.signal(signal.SIGINT, signal.default_int_handler)
with kndb.open({path!r}) as db:
    try:
        print("begun", flush=True)
        db.sql("SELECT sum(a.range * b.range) FROM range(1_000_000) a, range(1_000_000) b")
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_an_endless_query_can_be_interrupted(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS.format(path=str(path))], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.5)  # the query usually runs by then; if not, the outcome is the same
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=240)[0] == "interrupted\n"
        finally:
            process.kill()


def test_a_closed_database_says_so(path: Path) -> None:
    with kndb.open(path) as db:
        pass
    for ask in (db.query, db.runs):
        with pytest.raises(UsageError, match="is closed"):
            ask()


def test_damage_found_while_reading_is_told(path: Path) -> None:
    content = path.read_bytes()
    blocks = 3 * 4096  # behind the three headers
    path.write_bytes(content[:blocks] + bytes(len(content) - blocks))
    with pytest.raises(DatabaseCorrupt), kndb.open(path) as db:
        db.query()


def test_a_result_outlives_its_database(path: Path) -> None:
    with kndb.open(path) as db:
        result = db.sql("SELECT 1 AS one, 'a' AS letter UNION ALL SELECT 2, NULL ORDER BY one")
    assert result.columns == ("one", "letter")
    assert result.rows() == list(result) == [(1, "a"), (2, None)]
    assert result.to_dicts()[0] == {"one": 1, "letter": "a"}
    assert len(result) == 2


def test_arrow_keeps_duckdbs_types_also_of_nothing(db: kndb.Database) -> None:
    sql = "SELECT run_id, p_tokens, status, rank, p_answer FROM prediction WHERE {}"
    full, empty = (db.sql(sql.format(where)).to_arrow() for where in ("true", "false"))
    kinds = [str(kind).partition("<")[0] for kind in full.schema.types]
    assert kinds == ["int64", "list", "string", "int32", "double"]
    assert full.schema == empty.schema
    assert (full.num_rows, empty.num_rows) == (8, 0)


def test_pandas_frames_have_the_columns(db: kndb.Database) -> None:
    pytest.importorskip("pandas")
    frame = db.runs().to_pandas()
    assert list(frame["status"]) == ["finished"]
