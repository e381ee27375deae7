"""``kndb db check``, ``kndb db backup`` and ``kndb runs delete`` on a database of their own."""

import json
import shutil

import duckdb
import pytest


@pytest.fixture
def own(database, tmp_path):
    path = tmp_path / "own.duckdb"
    shutil.copyfile(database, path)
    return path


def test_a_sound_database(kndb, own):
    code, out, err = kndb("db", "check", "--db", str(own))
    assert (code, out, err) == (0, "table,problem\n", f"{own} is sound.\n")
    assert kndb("db", "check", "--db", str(own), "--format", "table")[:2] == (0, "")


def test_a_changed_database(kndb, own):
    with duckdb.connect(str(own)) as connection:
        connection.execute(
            "UPDATE prompt SET answer = 'Lyon', plain_answer = 'lyon' WHERE answer = 'Paris'"
        )
    code, out, err = kndb("db", "check", "--db", str(own), "--json")
    assert (code, err) == (1, "")
    assert json.loads(out) == [
        {"table": "prompt", "problem": "2 rows have an id that is not the hash of their contents"}
    ]


def test_backup(kndb, own, tmp_path):
    copy = tmp_path / "copy.duckdb"
    code, out, err = kndb("db", "backup", str(copy), "--db", str(own))
    assert (code, out) == (0, "")
    assert err.startswith(f"Copied {own} to {copy}, ")
    assert kndb("db", "check", "--db", str(copy))[0] == 0
    assert kndb("db", "backup", str(copy), "--db", str(own))[0] == 2


def test_optimize(kndb, own):
    before = kndb("query", "--db", str(own), "--json")[1]
    code, out, err = kndb("db", "optimize", "--db", str(own))
    assert (code, out) == (0, "")
    assert f"Sorted {own}: " in err
    assert kndb("query", "--db", str(own), "--json")[1] == before
    assert kndb("db", "check", "--db", str(own))[0] == 0


def run_ids(kndb, own):
    return [row["run_id"] for row in json.loads(kndb("runs", "--db", str(own), "--json")[1])]


def test_delete_shows_what_goes_and_needs_a_yes(kndb, own):
    (run_id,) = run_ids(kndb, own)
    code, out, err = kndb("runs", "delete", str(run_id)[:5], "--db", str(own))
    assert (code, out) == (2, "")
    assert f"Run {run_id}: tiny-masked on capitals, preset amig." in err
    assert [line.split() for line in err.splitlines() if "attribution" in line] == [
        ["attribution", "10"]
    ]
    assert err.endswith("add --yes to delete these rows.\n")
    assert run_ids(kndb, own) == [run_id]
    code, _, err = kndb("runs", "delete", str(run_id), "--yes", "--db", str(own))
    assert code == 0
    assert f"Deleted run {run_id}; " in err
    assert run_ids(kndb, own) == []
    assert kndb("runs", "delete", str(run_id), "--yes", "--db", str(own))[0] == 4


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
def test_a_terminal_is_asked(kndb, own, monkeypatch, answer, left):
    (run_id,) = run_ids(kndb, own)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda text, err: answer == "y\n")
    kndb("runs", "delete", str(run_id), "--db", str(own))
    assert len(run_ids(kndb, own)) == left
