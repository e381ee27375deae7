"""The output of each query command on a small database."""

import csv
import io
import json
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_query_by_subject_in_any_language(kndb):
    code, out, err = kndb("query", "--fact", "法国")
    assert (code, err) == (0, "")
    found = [(r["fact_key"], r["lang"], r["layer"], r["neuron"], r["n_langs"]) for r in rows(out)]
    assert found == [
        ("P36:Q142", "en", "2", "117", "2"),
        ("P36:Q142", "zh", "2", "117", "2"),
        ("P36:Q142", "zh", "0", "8", "1"),
    ]


@pytest.mark.parametrize(
    ("args", "neurons"),
    [
        (("--fact", "P36:Q148", "--lang", "en"), ["33", "34"]),
        (("--fact", "The capital of China is [MASK]."), ["33", "34", "50"]),
        (("--neuron", "2:117"), ["117", "117"]),
        (("--relation", "capital", "--top", "1"), ["117", "117", "33", "50"]),
        (("--fact", "France", "--lang", "en", "--share", "0.4"), ["117", "33", "34"]),
        (("--fact", "France", "--lang", "zh", "--tau", "0.6"), ["117"]),
        (("--model", "tiny", "--fact", "China", "--lang", "zh"), ["50"]),
    ],
)
def test_query_narrows(kndb, args, neurons):
    code, out, _ = kndb("query", *args)
    assert code == 0
    assert [row["neuron"] for row in rows(out)] == neurons


def test_query_by_run(kndb):
    run = rows(kndb("runs")[1])[0]["run_id"]
    assert len(rows(kndb("query", "--run", run[:6])[1])) == 6
    assert kndb("query", "--run", "99999")[0] == 4


def test_nothing_found_lists_the_nearest(kndb):
    code, out, err = kndb("query", "--fact", "Frence")
    assert (code, out) == (4, "")
    sentence, heading, first, *_ = err.splitlines()
    assert sentence.startswith("Error: ")
    assert "Frence" in sentence
    assert (heading, first) == ("Nearest:", "  France")


def test_runs(kndb):
    (run,) = json.loads(kndb("runs", "--json")[1])
    assert run["model"] == "tiny-masked"
    assert run["status"] == "finished"
    assert (run["done"], run["skipped"], run["accuracy"]) == (5, 1, 1.0)


QUESTION = "SELECT lang, count(*) AS n FROM prompt GROUP BY lang ORDER BY lang"


def test_sql_in_every_format(kndb, tmp_path):
    expected = [("en", 4), ("zh", 2)]
    assert json.loads(kndb("sql", QUESTION, "--json")[1]) == [
        {"lang": lang, "n": n} for lang, n in expected
    ]
    assert kndb("sql", QUESTION)[1] == "lang,n\nen,4\nzh,2\n"
    assert kndb("sql", QUESTION, "--format", "table")[1].splitlines()[2:] == ["en    4", "zh    2"]
    path = tmp_path / "n.parquet"
    assert kndb("sql", QUESTION, "-o", str(path), "-q") == (0, "", "")
    assert pq.read_table(path).to_pydict() == {"lang": ["en", "zh"], "n": [4, 2]}


def test_parquet_through_a_pipe(process):
    import pyarrow as pa

    done = process("sql", QUESTION, "--format", "parquet")
    assert pq.read_table(pa.BufferReader(done.stdout)).num_rows == 2


@pytest.mark.parametrize("args", [(), ("-",)])
def test_sql_from_stdin(process, args):
    assert process("sql", *args, input=QUESTION.encode()).stdout == b"lang,n\nen,4\nzh,2\n"
    nothing = process("sql", *args, input=b" \n")
    assert nothing.returncode == 2
    assert nothing.stderr.startswith(b"Error: No SQL was given")


@pytest.mark.parametrize("statement", ["SELEC 1", "DROP TABLE run", "SELECT * FROM '/etc/passwd'"])
def test_sql_that_is_refused(kndb, statement):
    code, out, err = kndb("sql", statement)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_columns_of_one_name_are_all_there(kndb):
    assert json.loads(kndb("sql", "SELECT 1 AS n, 2 AS n", "--json")[1]) == [{"n": 1, "n_2": 2}]


def test_export(kndb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kndb("export", "prompt")[0] == 0
    assert pq.read_table("prompt.parquet").num_rows == 6
    code, out, err = kndb("export", "knowledge_neurons", "-o", "neurons.csv")
    assert (code, out) == (0, "")
    assert err == "Wrote 6 rows of knowledge_neurons to neurons.csv.\n"
    assert len(rows(Path("neurons.csv").read_text(encoding="utf-8"))) == 6
    assert kndb("export", "nothing")[0] == 2


def test_db_status(kndb, database):
    (status,) = json.loads(kndb("db", "status", "--json")[1])
    assert status["path"] == str(database)
    assert status["is_current"] is True
    assert status["bytes"] == database.stat().st_size
    assert status["rows_prompt"] == 6


def test_db_upgrade_has_nothing_to_do(kndb):
    code, _, err = kndb("db", "upgrade")
    assert code == 0
    assert "Nothing to do" in err


def test_db_schema(kndb):
    described = rows(kndb("db", "schema")[1])
    assert {"run", "knowledge_neuron", "knowledge_neurons"} <= {row["name"] for row in described}
    assert all(row["comment"] for row in described)
    text = kndb("db", "schema", "run", "--format", "table")[1]
    assert text.startswith("run (table) ")
    assert "preset" in text
    assert kndb("db", "schema", "nothing")[0] == 2


def test_a_database_of_another_kind(kndb, tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    code, _, err = kndb("query", "--fact", "x", "--db", str(path))
    assert code == 3
    assert err.count("\n") == 1
