"""Defaults from the environment and a file, what can be named, and the pager."""

import json
import os
import pty
import stat
import sys

import pytest

from kndb_cli import shell
from kndb_cli.settings import configured, read_config


def set_in(row, out):
    return {each["setting"]: (each["value"], each["from"]) for each in json.loads(out)}[row]


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    kndb, database, tmp_path, monkeypatch
):
    file = tmp_path / "config.toml"
    monkeypatch.setenv("KNDB_CONFIG", str(file))
    monkeypatch.delenv("KNDB_MODEL", raising=False)
    file.write_text('db = "elsewhere.duckdb"\nmodel = "no-such-model"\n')
    _, out, err = kndb("config", "--json")
    assert set_in("db", out) == (str(database), "environment")
    assert set_in("model", out) == ("no-such-model", "file")
    assert set_in("dtype", out) == (None, None)
    assert str(file) in err
    assert kndb("query")[0] == 4
    assert kndb("query", "--model", "tiny")[0] == 0
    monkeypatch.setenv("KNDB_MODEL", "tiny")
    assert kndb("query")[0] == 0
    assert "KNDB_DTYPE" not in os.environ


def test_a_run_goes_before_a_default_model(kndb, monkeypatch):
    run = str(json.loads(kndb("runs", "--json")[1])[0]["run_id"])
    monkeypatch.setenv("KNDB_MODEL", "no-such-model")
    assert kndb("query")[0] == 4
    assert kndb("query", "--run", run)[0] == 0
    assert kndb("graph", "overlap", "--run", run)[0] == 0
    assert kndb("query", "--run", run, "--model", "no-such-model")[0] == 4
    # Commands that load a model load the run's.
    code, _, err = kndb("factcheck", "A claim.", "--run", run)
    assert (code, "tiny-masked" in err, "no-such-model" in err) == (1, True, False)


def test_the_files_database_is_used_and_forgotten_again(tmp_path, monkeypatch):
    file = tmp_path / "config.toml"
    file.write_text('db = "a.duckdb"\n')
    monkeypatch.setenv("KNDB_CONFIG", str(file))
    monkeypatch.delenv("KNDB_DB", raising=False)
    with configured():
        assert os.environ["KNDB_DB"] == "a.duckdb"
    assert "KNDB_DB" not in os.environ


@pytest.mark.parametrize("text", ['colour = "red"', "db = 3", "db = ", "db"])
def test_what_a_file_cannot_set_is_refused(kndb, tmp_path, monkeypatch, text):
    file = tmp_path / "config.toml"
    file.write_text(text)
    monkeypatch.setenv("KNDB_CONFIG", str(file))
    code, _, err = kndb("relations")
    assert (code, err.count("\n")) == (2, 1)
    assert str(file) in err


def test_no_file_sets_nothing(tmp_path):
    assert read_config(tmp_path / "none.toml") == {}


def test_models_of_kndb_of_the_database_and_of_the_cache(kndb, tmp_path, monkeypatch):
    cached = tmp_path / "models--org--name" / "snapshots" / "abc"
    cached.mkdir(parents=True)
    (cached / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "models--half--downloaded").mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    code, out, _ = kndb("models", "--json")
    found = {
        row["name"]: (row["where"], row["architecture"], row["runs"]) for row in json.loads(out)
    }
    assert code == 0
    assert found == {
        "demo-causal": ("built in", "gpt2", None),
        "demo-masked": ("built in", "bert", None),
        "org/name": ("cache", "bert", None),
        "tiny-masked": ("database", "bert", 1),
    }


def test_models_and_data_sets_without_a_database(kndb, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    missing = str(tmp_path / "no.duckdb")
    assert "demo-masked,built in" in kndb("models", "--db", missing)[1]
    assert kndb("datasets", "--db", missing)[1].splitlines()[1:] == ["demo,built in,kndb,,"]


def test_data_sets_of_the_database(kndb):
    rows = kndb("datasets")[1].splitlines()
    assert rows[1:] == ["demo,built in,kndb,,", "capitals,database,kndb,3,1"]


def test_a_run_is_shown_with_its_settings(kndb):
    run_id = json.loads(kndb("runs", "--json")[1])[0]["run_id"]
    code, out, _ = kndb("runs", "show", run_id[:6], "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert (found["run_id"], found["n_layers"], found["langs"]) == (run_id, 3, "en,zh")
    assert (found["knowledge_neurons"], json.loads(found["settings"])) == (6, {"seed": 0})
    assert kndb("runs", "show", "99999")[0] == 4


def test_the_small_shell_answers_and_goes_on_after_an_error(process):
    typed = b"SELECT count(*) AS n\n\nFROM fact;\nSELECT nothing;\n\n"
    typed += b".help\nSELECT 2 AS two;\n.quit\nSELECT 3;\n"
    done = process("shell", "--plain", "--format", "csv", input=typed)
    assert (done.returncode, done.stdout) == (0, b"n\n3\ntwo\n2\n")
    assert done.stderr.count(b"Error: The SQL was refused") == 1
    assert b"There is no .help; .tables lists" in done.stderr
    assert process("shell", "--db", "no.duckdb", input=b"").returncode == 3


def in_a_terminal(process, *args, **env):
    """What the program writes where both input and output are a terminal of 24 lines."""
    leader, follower = pty.openpty()
    started = process.start(
        *args,
        stdin=follower,
        stdout=follower,
        env={"COLUMNS": "80", "LINES": "24", "TERM": "xterm", **env},
    )
    started.communicate(timeout=240)
    os.close(follower)
    text = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the terminal is gone: all has been read
            break
        text += chunk
    os.close(leader)
    return text.decode()


@pytest.fixture
def pager(tmp_path):
    """A pager that says that it was called, and shows three lines."""
    path = tmp_path / "pager"
    path.write_text(f"#!{sys.executable}\nimport sys\nprint('PAGED', *sys.stdin.readlines()[:3])\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


LONG = ("sql", "SELECT range AS n FROM range(100)")


def test_a_long_table_goes_through_the_pager(process, pager):
    text = in_a_terminal(process, *LONG, PAGER=pager)
    assert "PAGED" in text
    assert " 99" not in text


@pytest.mark.parametrize(
    ("args", "env"),
    [
        ((*LONG, "--no-pager"), {}),
        (("sql", "SELECT 99 AS n"), {}),
        pytest.param(LONG, {"KNDB_PAGER": "none"}, marks=pytest.mark.long),
        (LONG, {"KNDB_PAGER": "no-such-program"}),
        pytest.param((*LONG, "--format", "csv"), {}, marks=pytest.mark.long),
    ],
)
def test_otherwise_there_is_none(process, pager, args, env):
    text = in_a_terminal(process, *args, PAGER=pager, **env)
    assert "PAGED" not in text
    assert "99" in text


def test_a_run_gets_a_name_and_loses_it(kndb, two_runs):
    code, out, err = kndb("runs", "rename", str(two_runs)[:8], "second")
    assert (code, out, err) == (0, "", f"Run {two_runs} is called second.\n")
    assert json.loads(kndb("runs", "show", "second", "--json")[1])[0]["run_id"] == str(two_runs)
    assert kndb("query", "--run", "second")[0] == 0
    assert kndb("runs", "rename", "second")[2] == f"Run {two_runs} has no name.\n"
    assert kndb("query", "--run", "second")[0] == 4
    assert kndb("runs", "rename", str(two_runs), "77")[0] == 2


def test_ctrl_c_in_the_small_shell_drops_what_was_typed(monkeypatch):
    typed = iter(["help", KeyboardInterrupt(), "SELECT 1;", EOFError()])

    def line(prompt):
        found = next(typed)
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr("builtins.input", line)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert [*shell._statements()] == ["SELECT 1;"]
