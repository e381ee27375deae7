"""The writer on a real file: nothing lost, nothing twice, and the refinement as defined."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from kndb.errors import DatabaseCorrupt, UsageError
from kndb.store.database import connect, transaction
from kndb.store.writer import Writer, refine
from small_store import PROMPT_IDS, attributions, begin, finished_run, predictions


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with connect(path) as connection:
        return connection.execute(sql).fetchall()


def test_a_new_run_is_running_and_its_catalogue_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    run = begin(Writer(path))
    assert (run.status, run.done) == ("running", frozenset())
    france = "SELECT lang, subject, prompts FROM facts WHERE fact_key = 'P36:Q142' ORDER BY lang"
    assert rows(path, france) == [("en", "France", 3), ("zh", "法国", 1)]
    assert rows(path, "SELECT run_id, model, dataset, status FROM runs") == [
        (run.run_id, "tiny", "facts", "running")
    ]


def test_beginning_twice_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    first, second = begin(Writer(path)), begin(Writer(path))
    assert first == second
    for table, count in {"model": 1, "dataset": 1, "fact": 5, "prompt": 8, "run": 1}.items():
        assert rows(path, f"SELECT count(*) FROM {table}") == [(count,)]


def test_other_settings_are_another_run_over_the_same_facts(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    assert begin(Writer(path)).run_id != begin(Writer(path), limit=1).run_id
    assert rows(path, "SELECT count(*) FROM prompt") == [(8,)]


def test_appending_a_prompt_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    run = begin(writer)
    batch = predictions(PROMPT_IDS[:2]), attributions([(PROMPT_IDS[0], 1, 5, 0.5)])
    writer.append(run.run_id, *batch)
    writer.append(run.run_id, *batch)
    assert rows(path, "SELECT layer, neuron, score FROM attribution") == [(1, 5, 0.5)]
    assert begin(writer).done == frozenset(PROMPT_IDS[:2])


def test_every_column_of_a_prediction_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    run = begin(writer)
    row = {
        "prompt_id": PROMPT_IDS[0],
        "status": "done",
        "reason": None,
        "p_answer": 0.625,
        "p_tokens": [0.5, 0.75],
        "rank": 1,
        "predicted": "Paris",
        "n_answer_tokens": 2,
        "completeness": 0.001,
        "score_error": 0.002,
    }
    writer.append(run.run_id, pa.Table.from_pylist([row]), attributions([(PROMPT_IDS[0], 0, 0, 1)]))
    with connect(path) as connection:
        stored = connection.execute(f"SELECT {', '.join(row)} FROM prediction").fetchone()
    assert stored == tuple(row.values())


def test_an_interrupted_run_goes_on_and_a_finished_one_stays_finished(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "k.duckdb")
    run = begin(writer)
    writer.mark(run.run_id, "interrupted")
    assert begin(writer).status == "running"
    writer.finish(run.run_id, 0.2, 0.5)
    assert begin(writer).status == "finished"


def test_refinement_follows_the_definition(tmp_path: Path) -> None:
    """By hand, at tau 0.2 and share 0.5: more than half of three prompts is two."""
    path = tmp_path / "k.duckdb"
    finished_run(path)
    found = rows(
        path,
        "SELECT lang, layer, neuron, score, support FROM knowledge_neurons "
        "WHERE fact_key = 'P36:Q142' ORDER BY ALL",
    )
    assert [row[:3] for row in found] == [
        ("en", 0, 1),
        ("en", 1, 3),
        ("zh", 0, 1),
        ("zh", 0, 7),
    ]
    assert [row[3] for row in found] == [0.75, 0.375, 0.75, 1.0]
    assert [row[4] for row in found] == [2 / 3, 2 / 3, 1, 1]


def test_a_score_that_is_no_number_selects_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    run = begin(writer)
    scores = [(PROMPT_IDS[3], 0, 7, float("nan")), (PROMPT_IDS[3], 0, 6, 1.0)]
    writer.append(run.run_id, predictions(PROMPT_IDS[3:4]), attributions(scores))
    writer.finish(run.run_id, 0.2, 0.5)
    assert rows(path, "SELECT * FROM knowledge_neuron") == []


def test_skipped_prompts_do_not_count_in_the_share(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    run = begin(writer)
    one, two, three = PROMPT_IDS[:3]
    writer.append(run.run_id, predictions([one]), attributions([(one, 0, 1, 1.0)]))
    nothing = attributions([(one, 0, 1, 1.0)]).slice(0, 0)
    writer.append(run.run_id, predictions([two, three], "skipped"), nothing)
    writer.finish(run.run_id, 0.2, 0.5)
    assert rows(path, "SELECT neuron, support FROM knowledge_neuron") == [(1, 1.0)]


def test_finishing_again_replaces_the_neurons(tmp_path: Path) -> None:
    """The threshold is strict: 0.25 is not above a quarter of 1."""
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    run = begin(writer)
    scores = [(PROMPT_IDS[3], 0, 7, 1.0), (PROMPT_IDS[3], 0, 6, 0.25)]
    writer.append(run.run_id, predictions(PROMPT_IDS[3:4]), attributions(scores))
    for tau, expected in [(0.2, [(6,), (7,)]), (0.25, [(7,)])]:
        writer.finish(run.run_id, tau, 0.5)
        assert rows(path, "SELECT neuron FROM knowledge_neuron ORDER BY neuron") == expected
        assert rows(path, "SELECT status, tau, share FROM run") == [("finished", tau, 0.5)]
        again = rows(path, "SELECT neuron FROM knowledge_by_neuron")
        assert again == expected


def test_neurons_selected_in_parts_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.duckdb"
    run = finished_run(path)
    sql = "SELECT * EXCLUDE (score), score FROM knowledge_neuron"
    whole = rows(path, sql)
    monkeypatch.setattr("kndb.store.writer.REFINED_AT_ONCE", 2)
    with transaction(path) as connection:
        refine(connection, run, 0.2, 0.5)
    parts = rows(path, sql)
    assert [row[:-1] for row in parts] == [row[:-1] for row in whole]
    assert [row[-1] for row in parts] == pytest.approx([row[-1] for row in whole])
    assert len(parts) > 5


@pytest.mark.parametrize(("tau", "share"), [(0.04, 0.5), (1.0, 0.5), (0.2, -0.1), (0.2, 1.0)])
def test_thresholds_out_of_range_are_refused(tmp_path: Path, tau: float, share: float) -> None:
    writer = Writer(tmp_path / "k.duckdb")
    run = begin(writer)
    with pytest.raises(UsageError, match="must be at least"):
        writer.finish(run.run_id, tau, share)


def test_a_failing_batch_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    writer = Writer(path)
    run = begin(writer)
    bad = attributions([(PROMPT_IDS[0], 0, 1, 1.0)]).rename_columns(["prompt_id", "l", "n", "s"])
    with pytest.raises(duckdb.BinderException, match="layer"):
        writer.append(run.run_id, predictions(PROMPT_IDS[:1]), bad)
    assert rows(path, "SELECT count(*) FROM prediction") == [(0,)]
    assert begin(writer).done == frozenset()


KILLED = """
import os, sys
sys.path.insert(0, {here!r})
from small_store import PROMPT_IDS, Writer, attributions, begin, predictions
from kndb.store.database import connect
writer = Writer({path!r})
run = begin(writer)
writer.append(run.run_id, predictions(PROMPT_IDS[:1]), attributions([(PROMPT_IDS[0], 0, 1, 1.0)]))
with connect({path!r}, write=True) as connection:
    connection.execute("UPDATE run SET preset = 'committed'")
    connection.begin()
    connection.execute("DELETE FROM prediction")
    os.kill(os.getpid(), 9)
"""


def test_a_killed_writer_loses_only_what_it_had_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    script = KILLED.format(here=str(Path(__file__).parents[1]), path=str(path))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert path.with_name("k.duckdb.wal").exists()
    assert rows(path, "SELECT preset FROM run") == [("committed",)]
    run = begin(Writer(path))
    assert run.done == frozenset(PROMPT_IDS[:1])


def test_a_file_of_another_kind_is_untouched_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database")
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(DatabaseCorrupt, match="is not a kndb database"):
        begin(Writer(path))
    assert hashlib.sha256(path.read_bytes()).digest() == before
