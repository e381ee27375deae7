"""Which run answers: the newest, any by a short id, unfinished ones too, and what is said of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import kndb
from kndb.errors import NotFound, UsageError
from kndb.graph.overlap import overlap
from kndb.graph.selection import Selection, selected
from kndb.store.database import connect
from kndb.store.runs import chosen_runs, find_run
from kndb.store.writer import Writer
from small_store import (
    FRANCE,
    PROMPT_IDS,
    SCORES,
    Model,
    attributions,
    begin,
    finished_run,
    predictions,
    scored_run,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "k.duckdb"


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="kndb")
    return caplog


def test_of_several_runs_of_a_model_it_says_which_answers(
    path: Path, notes: pytest.LogCaptureFixture
) -> None:
    finished_run(path)
    newest = finished_run(path, factor=0.5, limit=1)
    finished_run(path, Model(name="other", architecture="gpt2"))
    with kndb.open(path) as db:
        db.query()
    assert notes.messages == [f"tiny: the newest of 2 runs answers, {newest}; --run asks another."]


def test_the_newest_comes_first(path: Path) -> None:
    made = [finished_run(path, Model(name=name, architecture=name)) for name in "abcdef"]
    with connect(path) as connection:
        assert chosen_runs(connection, None, None) == made[::-1]


def test_where_there_is_no_choice_nothing_is_said(
    path: Path, notes: pytest.LogCaptureFixture
) -> None:
    run_id = finished_run(path)
    with kndb.open(path) as db:
        assert len(db.query()) == len(db.query(run=run_id)) == 8
    assert notes.messages == []


def small_run(path: Path) -> int:
    """A finished run with the prompts of the first fact only."""
    writer = Writer(path)
    run = begin(writer, limit=1)
    rows = [(PROMPT_IDS[at], layer, neuron, score) for at, layer, neuron, score in SCORES if at < 4]
    writer.append(run.run_id, predictions(PROMPT_IDS[:4]), attributions(rows))
    writer.finish(run.run_id, 0.2, 0.5)
    return run.run_id


def test_what_another_run_has_is_not_called_missing(path: Path) -> None:
    large = finished_run(path)
    small = small_run(path)
    with kndb.open(path) as db:
        assert {row["run_id"] for row in db.query(fact=FRANCE.key).to_dicts()} == {small}
        with pytest.raises(NotFound, match=f"Run {small} has nothing that matches") as missing:
            db.query(fact="Guinea")
        assert missing.value.nearest == (f"{large} (tiny on facts, amig)",)
        assert missing.value.heading == "Runs that have it"
        with pytest.raises(NotFound) as missing:
            db.query(neuron="1:7")  # nobody has it
        assert missing.value.heading == "Neurons that most of them use"


def test_an_unfinished_run_answers_and_says_so(path: Path, notes: pytest.LogCaptureFixture) -> None:
    run_id = scored_run(path)
    Writer(path).mark(run_id, "interrupted")
    with kndb.open(path) as db:
        so_far = db.query(fact="France").rows()
        assert db.query(run=str(run_id)[:5], fact="France").rows() == so_far
    assert set(notes.messages) == {
        f"Run {run_id} is interrupted: 8 prompts are done so far; the same `kndb ingest` "
        "continues it."
    }
    shared = overlap(path, fact="P36:Q142").to_dicts()
    with selected(path, Selection(langs=["zh"])) as found:
        assert found.rows("SELECT layer, neuron FROM chosen ORDER BY ALL") == [(0, 1), (0, 7)]
    Writer(path).finish(run_id, 0.2, 0.5)
    with kndb.open(path) as db:
        assert db.query(fact="France").rows() == so_far
    assert overlap(path, fact="P36:Q142").to_dicts() == shared


def test_a_finished_run_goes_before_one_that_is_going_on(path: Path) -> None:
    finished = finished_run(path)
    scored_run(path, limit=2)
    with kndb.open(path) as db:
        assert {row["run_id"] for row in db.query().to_dicts()} == {finished}


def test_a_short_id_must_mean_one_run(path: Path) -> None:
    run = finished_run(path)
    runs = [run, *(run + 10**12 * step for step in (1, 2))]
    runs.append(int("1" * 17 if str(run)[0] != "1" else "2" * 17))
    with connect(path, write=True) as connection:
        copy = "INSERT INTO run SELECT * REPLACE (? AS run_id) FROM run WHERE run_id = ?"
        connection.executemany(copy, [(other, run) for other in runs[1:]])
    digit = str(run)[0]
    with kndb.open(path) as db:
        with pytest.raises(UsageError, match="give more of the number") as several:
            db.query(run=digit)
        for run in runs:
            assert (f"{run} (tiny on facts, amig)" in str(several.value)) == (str(run)[0] == digit)
            assert find_run(db._connection, str(run)[:12]) == run


def test_a_run_of_one_language_is_not_compared(path: Path) -> None:
    writer = Writer(path)
    run = begin(writer)
    rows = [(PROMPT_IDS[at], layer, neuron, score) for at, layer, neuron, score in SCORES if at < 3]
    writer.append(run.run_id, predictions(PROMPT_IDS[:3]), attributions(rows))
    writer.finish(run.run_id, 0.2, 0.5)
    with pytest.raises(NotFound, match="has one language only, en; an overlap compares two"):
        overlap(path)
