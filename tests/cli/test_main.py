"""The program as a whole: help, usage errors, exit codes, imports and closed pipes."""

import os
import pty
from importlib.metadata import version

import pytest
from typer.main import get_command

from kndb_cli.main import COMMANDS, application

HEAVY = {"torch", "transformers", "sqlalchemy", "alembic", "pyarrow", "networkx", "matplotlib"}


def imported(process, *args):
    """The packages imported by a run of the program, and its output."""
    code = (
        "import sys; from kndb_cli.main import main; code = main();"
        "print(*{m.partition('.')[0] for m in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = process.python(code, *args)
    assert done.returncode == 0
    return set(done.stderr.decode().split()), done.stdout.decode()


def test_help_lists_every_command_and_imports_no_model_library(process):
    modules, text = imported(process, "--help")
    assert "kndb_cli" in modules
    assert not modules & HEAVY
    for command in COMMANDS:
        assert f" {command} " in text


@pytest.mark.parametrize(
    "args",
    [
        ("query", "--fact", "France", "--lang", "en,zh", "--top", "3", "--format", "csv"),
        ("sql", "SELECT 1", "--rows", "5"),
        ("runs",),
        ("facts", "France", "--limit", "1"),
    ],
)
def test_queries_import_nothing_heavy(process, args):
    modules, text = imported(process, *args)
    assert ("duckdb" in modules) == (args[0] != "sql")  # it queries in a separate process
    assert not modules & (HEAVY | {"rich", "numpy", "pydantic", "pydantic_core"})
    assert text.count("\n") > 1


def test_queries_import_only_what_they_need(process):
    code = "from kndb_cli.main import main; main(); import sys; print(*sys.modules)"
    done = process.python(code, "query", "--fact", "France", "--lang", "en", "--top", "3")
    assert done.returncode == 0
    modules = set(done.stdout.decode().split())
    assert "kndb.store.knowledge" in modules
    assert not modules & {"hashlib", "kndb.store.run_diff", "kndb.store.catalogue", "kndb.facts"}


@pytest.mark.parametrize(
    "args",
    [("graph", "overlap", "--by", "language-pair"), ("graph", "overlap"), ("db", "check")],
)
def test_what_needs_arrow_imports_no_pandas(process, args):
    modules, _ = imported(process, *args)
    assert "pandas" not in modules


def described(command, path):
    for name, each in getattr(command, "commands", {}).items():
        yield from described(each, f"{path} {name}")
    yield path, command.help
    yield from ((f"{path} {param.opts[0]}", param.help) for param in command.params)


def test_every_command_and_option_is_documented():
    texts = dict(described(get_command(application([])), "kndb"))
    assert len(texts) > 40
    assert "kndb db status --db" in texts
    assert [what for what, text in texts.items() if not text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command(kndb, command):
    code, out, err = kndb(command, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: kndb {command} " in out


def test_version(kndb):
    assert kndb("--version") == (0, f"kndb {version('kndb')}\n", "")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("qery",), "'query'"),
        (("query", "--fat", "x"), "--fact"),
        (("query", "--top", "many"), "--top"),
        (("query", "--format", "xml"), "'parquet'"),
        (("query", "--format", "xml"), "--format': 'xml' is not one of"),
        (("query", "surplus"), "surplus"),
        (("query", "--top", "x"), "'x' is not a whole number"),
        (("query", "--tau", "x"), "'x' is not a number"),
        (("runs", "--limit", "0"), "it must be at least 1, not 0"),
        (("sql", " "), "No SQL was given"),
        (("fcts",), "Did you mean 'facts'?"),
        (("list",), "Did you mean 'facts', 'runs', 'edit list'?"),
        (("plot",), "Did you mean 'graph plot'?"),
        (("edit", "lst"), "Did you mean 'list'?"),
        (("xyzzy",), "'kndb --help' lists them"),
        (("sql", "SELECT * FROM fact_s"), 'Did you mean "facts"?'),
        (("export",), "TABLE"),
        (("query", "--neuron", "9"), "LAYER:INDEX"),
        (("query", "--tau", "0.01"), "0.05"),
        (("runs", "--json", "--format", "csv"), "contradict"),
        (("runs", "-o", "x.xlsx"), ".parquet"),
    ],
)
def test_usage_errors_are_one_sentence(kndb, args, says):
    code, out, err = kndb(*args)
    assert code == 2
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize("args", [(), ("help",), ("help", "graph"), ("graph",)])
def test_help_is_no_failure(kndb, args):
    code, out, err = kndb(*args)
    assert (code, err) == (0, "")
    assert "Usage: kndb" in out
    assert "<bool>" not in out


@pytest.mark.parametrize(
    "args",
    [
        ("query", "--fact", "\udcff"),
        ("query", "--fact", "P36:\udcff"),
        ("query", "--lang", "\udcff"),
        ("query", "--neuron", "9" * 5000 + ":1"),
        ("query", "--relation", "\udcff"),
        ("query", "--model", "\udcff"),
        ("runs", "--db", "\udcff"),
        ("sql", "SELECT '\udcff'"),
        ("sql", "SELECT INTERVAL '2147483647 months'"),
        ("export", "\udcff"),
        ("\udcff",),
    ],
)
def test_bytes_that_are_no_text_and_endless_numbers_are_one_sentence(kndb, args):
    code, out, err = kndb(*args)
    assert code in (2, 3, 4)
    assert out == ""
    sentence, *nearest = err.splitlines()
    assert sentence.startswith("Error: ")
    assert "Unexpected" not in sentence
    assert not nearest or code == 4


def test_sql_from_stdin_that_is_no_text(process):
    for encoding in ("utf-8", "utf-8:surrogateescape"):
        done = process("sql", input=b"SELECT '\xff'", env={"PYTHONIOENCODING": encoding})
        assert done.returncode == 2
        assert done.stderr.startswith(b"Error: The query holds bytes that are not UTF-8"), encoding


def test_missing_database(kndb, tmp_path):
    path = tmp_path / "none.duckdb"
    code, _, err = kndb("runs", "--db", str(path))
    assert code == 3
    assert err.count("\n") == 1
    assert str(path) in err
    assert not path.exists()


def test_corrupt_database(kndb, tmp_path):
    path = tmp_path / "bad.duckdb"
    path.write_bytes(b"not a database" * 1000)
    code, _, err = kndb("runs", "--db", str(path))
    assert code == 3
    assert err.count("\n") == 1
    assert path.read_bytes() == b"not a database" * 1000


def test_debug_shows_the_traceback(process):
    done = process("sql", "SELEC 1")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    done = process("sql", "SELEC 1", "--debug")
    assert done.returncode == 2
    assert b"Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"Error: The SQL was refused")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")
@pytest.mark.parametrize("line", ["runs > /dev/full", "runs -o /dev/full --format csv"])
def test_a_full_disk_is_one_sentence(process, line):
    done = process.shell(f'"$PYTHON" -c "$KNDB" {line}')
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_a_closed_pipe_is_quiet(process):
    shell = process.shell(
        '"$PYTHON" -c "$KNDB" sql "SELECT range FROM range(200000)" | head -1; '
        "echo ${PIPESTATUS[0]}"
    )
    assert shell.stdout == b"range\n0\n"
    assert shell.stderr == b""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("edit --help", 0),  # drawn by Rich
        pytest.param(
            "ingest --model demo-masked --dataset demo --limit 1 --langs en --db $NEW 2>&1",
            0,
            marks=pytest.mark.long,
        ),  # notes
        ("query --fact Nobody 2>&1", 4),
    ],
)
def test_nobody_need_read_to_the_end(process, tmp_path, line, code):
    line = line.replace("$NEW", str(tmp_path / "new.duckdb"))
    shell = process.shell(f'"$PYTHON" -c "$KNDB" {line} | true; echo ${{PIPESTATUS[0]}}')
    assert (shell.stdout, shell.stderr) == (f"{code}\n".encode(), b"")


def in_a_terminal(process, *args, **env):
    """The program's output when standard output is a terminal of 80 columns."""
    leader, follower = pty.openpty()
    started = process.start(*args, stdout=follower, env={"COLUMNS": "80", "TERM": "xterm", **env})
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


def test_a_terminal_gets_a_table(process):
    text = in_a_terminal(process, "query", "--fact", "France")
    assert "2:117" in text
    assert "法国" in text
    assert "\033[" in text


def test_no_color_is_honoured(process):
    text = in_a_terminal(process, "query", "--fact", "France", NO_COLOR="1")
    assert "2:117" in text
    assert "\033[3" not in text  # 30 to 37 are the colours


def test_a_terminal_gets_no_parquet(process):
    assert in_a_terminal(process, "runs", "--format", "parquet") == ""


def test_long_tables_are_cut_for_a_terminal_only(process):
    question = "SELECT range AS n FROM range(1500)"
    assert "1499" not in in_a_terminal(process, "sql", question)
    assert b"1499" in process("sql", "--format", "table", question).stdout


def test_utf8_whatever_the_locale(process):
    done = process("query", "--fact", "法国", env={"PYTHONIOENCODING": "ascii"})
    assert "巴黎".encode() in done.stdout
