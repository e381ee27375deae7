"""Rows keep one line each in a narrow terminal, with fewer columns and short ids."""

from __future__ import annotations

import io

import pytest
from rich.console import Group
from rich.text import Text

from kndb_cli.output import Output, emit
from kndb_cli.output.fitting import narrowing
from kndb_cli.output.rows import Listing
from kndb_cli.output.tables import draw

RUNS = Listing(
    ("run_id", "model", "preset", "done"),
    [(5035186028894240262, "demo-causal", "amig", 640), (5035186099999999999, "x", "amig", 1)],
)


@pytest.mark.parametrize(
    ("columns", "head", "first"),
    [
        (80, "run_id model preset done", "5035186028894240262"),
        (40, "run_id model done", "503518602"),
        (22, "run_id model", "503518602"),
    ],
)
def test_fewer_columns_in_less_room(
    monkeypatch: pytest.MonkeyPatch, columns: int, head: str, first: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    drawn = io.StringIO()
    draw(narrowing(RUNS, ("run_id", "model", "done"), ("run_id", "model")), drawn)
    names, _, line, _ = drawn.getvalue().splitlines()
    assert names.split() == head.split()
    assert line.split()[0] == first


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "quiet", "said"),
    [
        (80, False, ""),
        (40, False, "1 column is hidden: preset; --format json or a wider terminal shows all.\n"),
        (22, False, "2 columns are hidden: preset, done; --format json or a"),
        (22, True, ""),
        (12, False, ""),  # blocks, with all of them
    ],
)
def test_a_terminal_is_told_of_hidden_columns(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    quiet: bool,
    said: str,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout", Terminal())
    layouts = {
        "one": lambda data: narrowing(data, ("run_id", "model", "done"), ("run_id", "model")),
        "several": lambda data: Group(
            Text("x"), narrowing(data, ("run_id", "model", "done"), ("run_id", "model"))
        ),
    }
    for layout in layouts.values():
        emit(RUNS, Output("table", None, quiet), layout)
        err = capsys.readouterr().err
        assert err.startswith(said)
        assert bool(err) == bool(said)


def test_a_block_for_each_where_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    drawn = io.StringIO()
    draw(narrowing(RUNS, ("run_id", "model")), drawn)
    assert len(drawn.getvalue().splitlines()) > 8
