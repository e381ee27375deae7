"""What a terminal would obey reaches it as an escape; pipes and files get data as they are."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from kndb.errors import NotFound
from kndb.facts import Fact, Prompt, Relation
from kndb.store import ids
from kndb.store.writer import Writer
from kndb_cli.errors import explain
from kndb_cli.output.tables import draw
from kndb_cli.output.terminal import visible
from small_store import Dataset, Model, attributions, predictions

TITLE = "\x1b]0;owned\x07"
CLEAR = "\x9b2J"
REVERSED = "\u202egnorw\u202c"
HOSTILE = f"{TITLE}{CLEAR}{REVERSED}\r\x7f"
ESCAPED = r"\u001b]0;owned\u0007\u009b2J\u202egnorw\u202c\u000d\u007f"


def test_every_control_and_every_change_of_direction_is_escaped() -> None:
    obeyed = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Zl", "Zp", "Cs")
        or unicodedata.bidirectional(chr(code))
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    for character in obeyed:
        assert visible(character) == (
            character if character in "\t\n" else f"\\u{ord(character):04x}"
        )
    assert visible("Côte d’Ivoire 巴黎 قطر \u200d🇨🇮") == "Côte d’Ivoire 巴黎 قطر \u200d🇨🇮"


def is_harmless(text: str) -> bool:
    return not any(character in text for character in (TITLE, CLEAR, "\x9b", "\u202e", "\x7f"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose every text wants to take over the terminal."""
    path = tmp_path_factory.mktemp("hostile") / "k.duckdb"
    fact = Fact("P36", f"Q1{HOSTILE}", "Q2")
    prompt = Prompt(fact, "en", f"[X] {HOSTILE} [Y]", f"A{HOSTILE}", f"B{HOSTILE}")
    writer = Writer(path)
    model, data = Model(name=f"model{HOSTILE}"), Dataset()
    relations = [Relation("P36", HOSTILE)]
    run = writer.begin(model, data, relations, [fact], [prompt], "amig", {})
    key = ids.prompt_id(ids.dataset_id(data.sha256), prompt)
    writer.append(run.run_id, predictions([key]), attributions([(key, 0, 1, 0.5)]))
    writer.finish(run.run_id, 0.2, 0.5)
    return path


def in_a_terminal(process: Any, *args: str) -> str:
    """All that the program writes to a terminal, standard output and standard error together."""
    leader, follower = pty.openpty()
    started = process.start(*args, stdout=follower, stderr=follower, env={"TERM": "xterm"})
    os.close(follower)
    text = b""
    while chunk := _read(leader):
        text += chunk
    started.communicate(timeout=240)
    os.close(leader)
    return text.decode()


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # the other end is closed
        return b""


SQL = "SELECT subject, [answer] AS list, {'a': template} AS \"\x1b[31mhead\" FROM prompt"
SHOWN = [
    ("query", "--format", "csv"),
    ("sql", SQL),
    ("query", "--fact", f"None{HOSTILE}"),
    ("runs", "--db", f"/none/{HOSTILE}", "--debug"),
]
SHOWN_TOO = [
    ("query",),
    ("runs",),
    ("runs", "--json"),
    ("export", "prompt", "-o", "-", "--format", "jsonl"),
    ("query", "--fact", "A]0;owned 2Jgnor"),
    ("runs", "--db", f"/none/{HOSTILE}"),
    ("query", "--format", HOSTILE),
    (HOSTILE,),
]


@pytest.mark.parametrize(
    "args", [*SHOWN, *(pytest.param(args, marks=pytest.mark.long) for args in SHOWN_TOO)]
)
def test_a_terminal_shows_escapes(process: Any, hostile: Path, args: tuple[str, ...]) -> None:
    text = in_a_terminal(process, *args, *(() if "--db" in args else ("--db", str(hostile))))
    assert is_harmless(text)
    assert r"\u001b" in text or r"\x1b" in text


def test_a_table_is_laid_out_with_the_escapes(process: Any, hostile: Path) -> None:
    done = process("runs", "--db", str(hostile), "--format", "table").stdout.decode()
    assert f"model{ESCAPED}" in done
    assert is_harmless(done)


def test_a_layout_with_texts_of_its_own_is_no_way_around() -> None:
    table, drawn = Table(title=HOSTILE), io.StringIO()
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    draw(table, drawn)
    assert is_harmless(drawn.getvalue())


def test_pipes_and_files_get_data_as_they_are(process: Any, hostile: Path, tmp_path: Path) -> None:
    question = ("sql", "SELECT answer FROM prompt", "--db", str(hostile))
    rows = list(csv.DictReader(io.StringIO(process(*question).stdout.decode(), newline="")))
    assert rows == [{"answer": f"B{HOSTILE}"}]
    assert json.loads(process(*question, "--json").stdout) == [{"answer": f"B{HOSTILE}"}]
    file = tmp_path / "a.json"
    process(*question, "-o", str(file))
    assert json.loads(file.read_text("utf-8")) == [{"answer": f"B{HOSTILE}"}]


def test_an_error_is_one_line_and_so_are_its_suggestions() -> None:
    stream = io.StringIO()
    explain(NotFound(f"Nothing is named {HOSTILE}\nError: forged.", [HOSTILE]), stream)
    first, *others = stream.getvalue().splitlines()
    assert first.startswith("Error: Nothing is named")
    assert first.endswith(" Error: forged.")
    assert others == ["Nearest:", f"  {ESCAPED}"]
    assert is_harmless(stream.getvalue())
