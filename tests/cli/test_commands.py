"""The output of each query command on a small database."""

import csv
import io
import json
import os
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kndb_cli.main import main


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


def test_export_writes_what_the_name_says(kndb, tmp_path):
    for name in ("a.json", "a.jsonl", "a.csv", "a.parquet"):
        assert kndb("export", "prompt", "-o", str(tmp_path / name))[0] == 0
    texts = {row["text"] for row in json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))}
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["text"] for line in lines} == texts
    table = pq.read_table(tmp_path / "a.parquet")
    assert set(table.column("text").to_pylist()) == texts
    assert {row["text"] for row in rows((tmp_path / "a.csv").read_text("utf-8"))} == texts
    assert "法国的首都是[MASK]。" in texts


@pytest.mark.parametrize(
    ("command", "start"),
    [
        (("export", "run", "-o", "-"), b'"run_id",'),
        (("export", "run", "-o", "-", "--format", "json"), b"[\n {"),
        (("export", "run", "-o", "-", "--format", "parquet"), b"PAR1"),
        (("sql", "SELECT 1 AS n", "-o", "-"), b"n\n1\n"),
        (("sql", "SELECT 1 AS n", "-o", "-", "--json"), b"[\n {"),
        (("graph", "export", "-o", "-", "--format", "graphml"), b"<?xml"),
        (("graph", "plot", "layers", "-o", "-", "--format", "png"), b"\x89PNG"),
        (("graph", "plot", "layers", "-o", "-", "--format", "pdf"), b"%PDF"),
    ],
)
def test_a_hyphen_is_standard_output(database, tmp_path, monkeypatch, capfdbinary, command, start):
    monkeypatch.chdir(tmp_path)
    assert main([*command, "-q", "--db", str(database)]) == 0
    out, err = capfdbinary.readouterr()
    assert err == b""
    assert out.startswith(start)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("export", "run", "-o", "a.csv", "--format", "json"), "says csv, but"),
        (("sql", "SELECT 1", "-o", "a.csv", "--format", "json"), "says csv, but"),
        (("graph", "export", "-o", "a.gexf", "--format", "json"), "says gexf, but"),
        (("graph", "plot", "layers", "-o", "a.png", "--format", "svg"), "says png, but"),
        (("export", "run", "-o", "a.xls"), "end it in .parquet, .csv"),
        (("sql", "SELECT 1", "-o", "a.xls"), "end it in .txt, .json"),
        (("graph", "export", "-o", "a.xls"), "end it in .graphml, .gexf"),
        (("graph", "plot", "layers", "-o", "a.xls"), "end it in .png, .svg or .pdf"),
        (("graph", "plot", "layers", "-o", "-"), "give --format png|svg|pdf"),
        (("export", "run", "-o", "no/a.csv"), "There is no folder"),
        (("sql", "SELECT 1", "-o", "no/a.csv"), "There is no folder"),
        (("graph", "export", "-o", "no/a.gexf"), "There is no folder"),
        (("graph", "plot", "layers", "-o", "no/a.png"), "There is no folder"),
        (("export", "run", "-o", "."), "is a folder"),
        (("sql", "SELECT 1", "-o", "."), "is a folder"),
    ],
)
def test_where_nothing_can_be_written_a_sentence_says_why(
    kndb, tmp_path, monkeypatch, command, sentence
):
    monkeypatch.chdir(tmp_path)
    code, out, err = kndb(*command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert os.listdir(tmp_path) == []


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
