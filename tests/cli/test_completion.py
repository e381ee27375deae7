"""Completion in bash, zsh and fish: names from the file, at once, and never a message."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer._completion_shared import get_completion_script
from typer.main import get_command

from kndb_cli.completion import VARIABLE, _listed
from kndb_cli.main import application, main

HEAVY = ("torch", "transformers", "pyarrow", "pandas", "numpy", "sqlalchemy", "rich", "pydantic")
Complete = Callable[..., tuple[str, str]]


def protocol(shell: str, line: str) -> dict[str, str]:
    """The variables that a shell's script sets for a line with the cursor at its end."""
    words = line.split(" ")
    return {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell] | {"_KNDB_COMPLETE": f"complete_{shell}"}


@pytest.fixture
def complete(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Complete:
    """What a shell gets for a line, on standard output and on standard error."""

    def run(shell: str, line: str, db: Path = database) -> tuple[str, str]:
        for name, value in {"KNDB_DB": str(db), **protocol(shell, line)}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            main([])
        printed = capsys.readouterr()
        return printed.out.strip(), printed.err

    return run


@pytest.fixture
def bash(complete: Complete) -> Callable[[str], list[str]]:
    return lambda line: complete("bash", line)[0].splitlines()


LINES = {
    "kndb query --model ": ["tiny-masked"],
    "kndb query --relation P": ["P36"],
    "kndb query --relation cap": ["capital"],
    "kndb neurons --lang ": ["en", "zh"],
    "kndb graph overlap --langs en,": ["en,zh"],
    "kndb graph measures --fact France --lang z": ["zh"],
    "kndb factcheck --lang z": ["zh"],
    "kndb edit --model demo-": ["demo-causal", "demo-masked"],
    "kndb ingest --model tiny": ["tiny-masked"],
    "kndb export knowledge_n": ["knowledge_neuron", "knowledge_neurons"],
    "kndb db schema knowledge_n": ["knowledge_neuron", "knowledge_neurons"],
    "kndb rel": ["relations"],
    "kndb query --mod": ["--model"],
    "kndb factcheck --mod": ["--model"],
    "kndb query --model nothing": [],
}


@pytest.mark.parametrize("line", LINES)
def test_names_come_from_the_file(line: str, bash: Callable[[str], list[str]]) -> None:
    assert bash(line) == LINES[line]


def test_runs_have_names_and_ids(
    bash: Callable[[str], list[str]], two_runs: int, database: Path, complete: Complete
) -> None:
    two = Path(os.environ["KNDB_DB"])
    found = complete("bash", "kndb runs show ", two)[0].splitlines()
    assert len(found) == 2
    assert str(two_runs) in found
    assert complete("bash", f"kndb query --run {str(two_runs)[:5]}", two)[0] == str(two_runs)


def test_a_table_completes_a_query(complete: Complete) -> None:
    assert complete("zsh", "kndb sql 'FROM knowledge_neuron")[0].splitlines() == [
        '''_arguments '*: :(("FROM knowledge_neuron":"table"''',
        """"FROM knowledge_neurons":"view"))\'""",
    ]


@pytest.fixture
def spaced(database: Path, tmp_path: Path) -> Path:
    """A database with a label of two words."""
    path = tmp_path / "spaced.duckdb"
    path.write_bytes(database.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO relation VALUES ('P37', 'official language')")
        connection.execute("INSERT INTO relation VALUES ('P1412', 'spoken, written or signed')")
    return path


def test_labels_with_spaces_are_one_word_for_the_shell(spaced: Path, complete: Complete) -> None:
    line = "kndb query --relation"
    assert complete("bash", f"{line} off", spaced)[0] == r"official\ language"
    assert complete("bash", f"{line} capital,off", spaced)[0] == r"capital,official\ language"
    assert complete("fish", f"{line} off", spaced)[0] == "official language\tP37"
    assert complete("zsh", f"{line} off", spaced)[0] == (
        """_arguments '*: :(("official language":"P37"))'"""
    )
    assert complete("bash", f"{line} spo", spaced)[0] == ""  # a comma separates names


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_itself_takes_it_as_one_word(spaced: Path, tmp_path: Path) -> None:
    program = tmp_path / "kndb"
    python = f"{sys.executable} -c 'from kndb_cli.main import main; main([])'"
    program.write_text(f"#!/bin/sh\nexec {python}\n")
    program.chmod(0o755)
    script = get_completion_script(prog_name="kndb", complete_var=VARIABLE, shell="bash")
    typed = r"COMP_WORDS=(kndb query --relation off); COMP_CWORD=3"
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'{script}\n{typed}\n_kndb_completion {program}\nprintf "<%s>" "${{COMPREPLY[@]}}"',
        ],
        env={**os.environ, "KNDB_DB": str(spaced)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (r"<official\ language>", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_would_obey_is_left_out(
    shell: str, database: Path, tmp_path: Path, complete: Complete
) -> None:
    path = tmp_path / "strange.duckdb"
    path.write_bytes(database.read_bytes())
    obeyed = r"""a\$(touch x) `b` ;c 'd' "e" * \x1b[2J"""
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO relation VALUES (?, ?)", [obeyed, "strange"])
        connection.execute("INSERT INTO relation VALUES ('P99', ?)", [obeyed])
        connection.execute("UPDATE prompt SET lang = 'x$(y)' WHERE lang = 'zh'")
    printed = complete(shell, "kndb query --relation ", path)[0]
    assert "P99" in printed
    assert not {*"$`;*\\\x1b"}.intersection(printed.removeprefix("_arguments '*:"))
    assert complete(shell, "kndb query --lang x", path)[0] == {"zsh": "_files"}.get(shell, "")
    assert complete(shell, r"kndb sql 'FROM a\$(b) JOIN knowledge_n")[0] in ("", "_files")


def test_zsh_and_fish_show_what_a_name_is(complete: Complete) -> None:
    assert complete("zsh", "kndb query --relation P3")[0] == (
        """_arguments '*: :(("P36":"capital"))'"""
    )
    assert complete("fish", "kndb query --relation P3")[0] == "P36\tcapital"
    assert complete("fish", "kndb query --model t")[0] == "tiny-masked\tbert"
    assert complete("fish", "kndb que")[0].startswith("query\tShow the neurons")


def test_of_several_names_the_last_is_completed() -> None:
    names = [("en", ""), ("es", ""), ("zh", "")]
    assert [name for name, _ in _listed("e", names)] == ["en", "es"]
    assert [name for name, _ in _listed("en,e", names)] == ["en,es"]
    assert _listed("en,es,zh,", names) == []


@pytest.fixture
def unreadable(tmp_path: Path, database: Path) -> Iterator[dict[str, Path]]:
    whole = database.read_bytes()
    paths = {name: tmp_path / name for name in ("missing", "cut", "text", "empty", "locked")}
    paths["cut"].write_bytes(whole[: len(whole) // 2])
    paths["text"].write_text("not a database")
    paths["empty"].touch()
    paths["locked"].write_bytes(whole)
    paths["folder"] = tmp_path
    with duckdb.connect(str(paths["locked"])):
        yield paths


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_file_that_cannot_be_read_completes_nothing(
    shell: str, unreadable: dict[str, Path], complete: Complete
) -> None:
    nothing = {"zsh": "_files"}.get(shell, "")
    for name, path in unreadable.items():
        assert complete(shell, "kndb query --lang ", path) == (nothing, ""), name
        assert complete(shell, f"kndb query --db {path} --lang ") == (nothing, ""), name
    assert not unreadable["missing"].exists()


def test_a_damaged_configuration_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("what = is this")
    monkeypatch.setenv("KNDB_CONFIG", str(config))
    for name, value in protocol("bash", "kndb query --lang ").items():
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    assert capsys.readouterr() == ("", "")


def test_nothing_heavy_is_imported(database: Path) -> None:
    code = (
        "import sys\nfrom kndb_cli.main import main\n"
        "try: main([])\nexcept SystemExit: pass\n"
        f"print('loaded:', *[name for name in {HEAVY} if sys.modules.get(name)])"
    )
    for shell, line in (("bash", "kndb "), ("fish", "kndb query --model ")):
        env = {**os.environ, "KNDB_DB": str(database), **protocol(shell, line)}
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert run.stderr == ""
        assert ("query" if shell == "bash" else "tiny-masked") in run.stdout
        assert run.stdout.splitlines()[-1] == "loaded:"


def options(command: Any) -> Iterator[Any]:
    yield from command.params
    for each in getattr(command, "commands", {}).values():
        yield from options(each)


def test_every_option_that_takes_a_name_completes_it() -> None:
    named = {"--model", "--run", "--relation", "--relations", "--lang", "--langs", "--search"}
    lacking = {
        (param.opts[0], param.help)
        for param in options(get_command(application([])))
        if named & {*param.opts} and param._custom_shell_complete is None
    }
    # A folder with an edited model is completed by the shell.
    assert lacking == {("--model", "An edited model to remove the edit from.")}
