"""Two runs against each other: counted by hand, and equal to the bit or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kndb
from kndb.errors import NotFound, UsageError
from kndb.store.writer import Writer
from small_store import (
    PROMPT_IDS,
    SCORES,
    Model,
    attributions,
    begin,
    finished_run,
    predictions,
)

COUNTS = ("n_one", "n_other", "n_shared", "n_lost", "n_gained")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "k.duckdb"


def other_run(
    path: Path, changed: dict[tuple[int, int, int], float | None], prompts: int = 8
) -> int:
    """A finished run with other scores of (prompt, layer, neuron); None leaves one out."""
    writer = Writer(path)
    run = begin(writer, other=True)
    scores: dict[tuple[int, int, int], float | None] = {row[:3]: row[3] for row in SCORES}
    scores |= changed
    kept = [
        (PROMPT_IDS[at], layer, neuron, score)
        for (at, layer, neuron), score in scores.items()
        if score is not None and at < prompts
    ]
    writer.append(run.run_id, predictions(PROMPT_IDS[:prompts]), attributions(kept))
    writer.finish(run.run_id, 0.2, 0.5)
    return run.run_id


def counts(rows: kndb.Result) -> list[tuple[Any, ...]]:
    """Each row's key, and its counts."""
    return [(row[0], *(row[rows.columns.index(name)] for name in COUNTS)) for row in rows]


def test_runs_with_the_same_scores_are_equal_to_the_bit(path: Path) -> None:
    one, other = finished_run(path), finished_run(path, again=True)
    with kndb.open(path) as db:
        found = db.diff(one, other, "all")
    assert found.scores.equal
    assert (found.scores.n_both, found.scores.n_scores, found.scores.largest) == (8, 14, 0)
    assert (found.total["jaccard"], found.total["n_shared"]) == (1, 8)


def test_the_smallest_change_is_seen(path: Path) -> None:
    one = finished_run(path)
    other = other_run(path, {(3, 0, 1): 0.75 + 2**-24})
    with kndb.open(path) as db:
        found = db.diff(one, other)
    assert found.scores.same_prompts
    assert not found.scores.equal
    assert found.scores.largest == pytest.approx(2**-24)
    assert (found.scores.neuron, found.scores.text) == ("0:1", "法国的首都是[MASK]。")


def test_differences_are_relative_to_the_prompts_highest_score(path: Path) -> None:
    one, other = finished_run(path), finished_run(path, factor=0.5, half=True)
    with kndb.open(path) as db:
        assert db.diff(one, other).scores.largest == pytest.approx(0.5)
        assert db.diff(other, one).scores.largest == pytest.approx(0.5)


def test_scores_that_one_run_lacks_are_counted_apart(path: Path) -> None:
    one = finished_run(path)
    other = other_run(path, {(3, 1, 5): None})
    with kndb.open(path) as db:
        scores = db.diff(one, other).scores
    assert (scores.largest, scores.n_alone, scores.largest_alone) == (0, 1, 0.125)
    assert not scores.equal


def test_neurons_gained_and_lost(path: Path) -> None:
    one = finished_run(path)
    # In Chinese 0:7 goes and 1:5 comes.
    other = other_run(path, {(3, 0, 7): 0.01, (3, 1, 5): 0.5})
    with kndb.open(path) as db:
        found = db.diff(one, other, "neuron")
        assert found.rows.rows() == [
            ("P36:Q142", "capital", "zh", 1, 5, "gained", None, 0.5),
            ("P36:Q142", "capital", "zh", 0, 7, "lost", 1.0, None),
        ]
        assert counts(db.diff(one, other, "layer").rows) == [(0, 6, 5, 5, 1, 0), (1, 2, 3, 2, 0, 1)]
        assert counts(db.diff(one, other, "language").rows) == [
            ("en", 6, 6, 6, 0, 0),
            ("zh", 2, 2, 1, 1, 1),
        ]
        by_fact = counts(db.diff(one, other, "fact").rows)
        assert by_fact[2] == ("P36:Q142", 4, 4, 3, 1, 1)
        assert [row[0] for row in counts(db.diff(one, other, "relation").rows)] == ["P36", "P38"]
        assert found.total["jaccard"] == pytest.approx(7 / 9)


def test_only_what_both_runs_asked_is_compared(path: Path) -> None:
    one = finished_run(path)
    other = other_run(path, {}, prompts=3)  # France's capital in English
    with kndb.open(path) as db:
        found = db.diff(one, other, "language")
    assert counts(found.rows) == [("en", 2, 2, 2, 0, 0)]
    assert not found.scores.same_prompts
    assert (found.scores.n_one, found.scores.n_other, found.scores.n_both) == (8, 3, 3)


def test_a_run_is_named_by_model_preset_or_id(path: Path) -> None:
    one = finished_run(path)
    tuned = finished_run(path, Model(name="tiny-tuned", weights_sha256="ef" * 32), factor=0.5)
    with kndb.open(path) as db:
        found = db.diff("tiny", "TINY-TUNED")
        assert (found.one.run_id, found.other.run_id) == (one, tuned)
        assert db.diff(str(one)[:9], "tuned").total == found.total
        with pytest.raises(UsageError, match="both mean the run"):
            db.diff("tiny", one)
        with pytest.raises(NotFound, match="no-such"):
            db.diff("tiny", "no-such")
        with pytest.raises(UsageError, match="not by 'planet'"):
            db.diff("tiny", "tuned", "planet")  # type: ignore[arg-type]


def test_models_of_different_sizes_are_not_compared(path: Path) -> None:
    finished_run(path)
    finished_run(path, Model(name="large", architecture="gpt2", n_layers=4))
    with kndb.open(path) as db, pytest.raises(UsageError, match="large has 4 layers of 8"):
        db.diff("tiny", "large")
