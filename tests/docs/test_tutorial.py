"""The tutorial and the README, run in order on a new database: they show what is printed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from transcripts import DEMO, TUTORIAL, Session, difference, play

ROOT = Path(__file__).parents[2]


def differences(session: Session, page: str) -> list[str]:
    """The steps of a page whose output differs from what it shows; `make transcripts` fixes it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        f"{line}: {found[1]!r} instead of {found[0]!r} in\n{printed}"
        for line, shown, printed in play(text, session)
        if (found := difference(shown, printed))
    ]


@pytest.mark.long
def test_pages_show_what_is_printed_and_their_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single test, since every step uses the database that the tutorial makes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KNDB_DB", "")  # so that a page's exports are undone
    monkeypatch.syspath_prepend(ROOT / "docs")
    session = Session()
    assert differences(session, "docs/tutorial.md") == []
    shutil.copy(TUTORIAL, DEMO)
    assert differences(session, "README.md") == []
    for example in python_examples():
        exec(compile(example, "example", "exec"), {})
    assert "2 641 0.4" in capsys.readouterr().out


def python_examples() -> list[str]:
    """Those of the README and of the page about Python."""
    from generate import python_page

    text = (ROOT / "README.md").read_text(encoding="utf-8") + python_page()
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_numbers_that_another_machine_rounds_otherwise_are_the_same() -> None:
    shown = "2:641  0.4451  4e-36  1,123 neurons, 53 s (12.4/s), run 9074349520883844244, 1 s\n────"
    other = "2:641 0.4460 9e-36 1,124 neurons, 3.5 s (80/s), run 907434952088384424, 3 s\n──"
    assert difference(shown, other) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("neuron 2:641", "neuron 2:642"),
        ("0.4451", "0.5451"),
        ("P36:Q962", "P36:Q963"),
        ("4e-36", "4e-29"),
        ("two rows", "two rows more"),
        ("0.01 at worst", "0.01 at best"),
    ],
)
def test_what_is_another_answer_is_told_apart(shown: str, printed: str) -> None:
    assert difference(shown, printed) is not None
