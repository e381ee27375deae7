"""The search for lambda finds the smallest with the highest share."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_index import MODEL, demo_index
from kndb.edit.intervention import Interventions
from kndb.edit.plan import EditSettings
from kndb.edit.request import EditRequest, Job
from kndb.edit.strength import GRID, search_strength, smallest_best
from kndb_cli.main import main


@pytest.mark.parametrize("needed", [0.06, 0.1, 0.55, 0.8, 3.0, 12.8])
def test_the_smallest_that_wins_everywhere(needed: float) -> None:
    asked: list[float] = []

    def share(strength: float) -> float:
        asked.append(strength)
        return 1.0 if strength >= needed else 0.5

    found = smallest_best(share)
    assert found is not None
    assert found[1] == 1.0
    assert needed <= found[0] <= needed * 1.15
    assert len(asked) <= len(GRID) + 3


def test_the_smallest_of_the_best_where_none_wins_everywhere() -> None:
    assert smallest_best(lambda strength: 0.75 if strength >= 0.3 else 0.0) == (0.4, 0.75)
    assert smallest_best(lambda strength: 0.0) == (GRID[0], 0.0)
    assert smallest_best(lambda strength: None) is None


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_index(tmp_path_factory).database


def test_random_neurons_are_measured_beside(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = EditSettings("update", target="Kigali", target_lang="en", langs=("en",), unrelated=1)
    found = search_strength(EditRequest(path, MODEL), Job("P36:Q962", settings))
    assert found is not None
    assert (found.share, found.control) == (1.0, 0.0)

    # As if those drawn at random were the fact's own.
    monkeypatch.setattr(Interventions, "control", lambda self, plan, settings: plan)
    edit = ["edit", "--model", MODEL.name, "--fact", "P36:Q962", "--target", "Kigali"]
    some = ["--target-lang", "en", "--langs", "en", "--unrelated", "1", "--db", str(path)]
    assert main([*edit, *some, "--auto", "--dry-run"]) == 0
    n = found.prompts
    assert (
        f"{n} of the fact's {n} own prompts take the new answer; with random neurons, {n} do."
        in capsys.readouterr().err
    )
