"""The tutorial and the README, run in order on a new database: they show what is printed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from transcripts import DEMO, TUTORIAL, Session, difference, play

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch, chdir(tmp_path_factory.mktemp("tutorial")):
        patch.setenv("KNDB_DB", "")  # so that what a page exports is undone
        yield Path.cwd()


@pytest.fixture(scope="module")
def session(folder: Path) -> tuple[Session, list[str]]:
    """A session after the tutorial, and where its output was another one."""
    session = Session()
    wrong = differences(session, "docs/tutorial.md")
    shutil.copy(TUTORIAL, DEMO)
    return session, wrong


def differences(session: Session, page: str) -> list[str]:
    """The steps of a page that print something else than it shows; `make transcripts` mends it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        f"{line}: {found[1]!r} instead of {found[0]!r} in\n{printed}"
        for line, shown, printed in play(text, session)
        if (found := difference(shown, printed))
    ]


def test_the_tutorial_shows_what_is_printed(session: tuple[Session, list[str]]) -> None:
    assert session[1] == []


def test_the_readme_shows_what_is_printed(session: tuple[Session, list[str]]) -> None:
    assert differences(session[0], "README.md") == []


def test_the_readme_and_the_page_of_python_run(
    session: tuple[Session, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    from generate import python_page

    text = (ROOT / "README.md").read_text(encoding="utf-8") + python_page()
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "example", "exec"), {})
    assert "2 641 0.4" in capsys.readouterr().out


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
