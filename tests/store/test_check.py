"""``kndb db check``: what was changed from outside is found, and what kndb wrote is sound."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from kndb.errors import DatabaseCorrupt
from kndb.store.check import Problem, check_database
from kndb.store.database import connect
from kndb.store.merging import merge
from kndb.store.sandbox import run_apart
from small_store import finished_run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "k.duckdb"
    finished_run(path)
    return path


DIRECTION = "INSERT INTO neuron_direction SELECT model_id, "


def change(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def test_what_kndb_wrote_is_sound(path: Path) -> None:
    assert check_database(path) == []


@pytest.mark.parametrize(
    ("sql", "table", "problem"),
    [
        ("UPDATE model SET architecture = 'gpt2'", "model", "1 rows have an id that is not"),
        ("UPDATE dataset SET sha256 = 'x'", "dataset", "1 rows have an id that is not"),
        ("UPDATE fact SET object_id = 'Q1'", "fact", "5 rows have an id that is not the hash"),
        ("UPDATE prompt SET answer = 'Lyon'", "prompt", "8 rows have an id that is not the hash"),
        ("UPDATE prompt SET text = 'x'", "prompt", "8 rows have a text that is not"),
        ("UPDATE prompt SET plain_answer = 'x'", "prompt", "8 rows have a plain form that is not"),
        ("UPDATE run SET settings = '{}'", "run", "1 rows have an id that is not the hash"),
        ("UPDATE run SET status = 'odd'", "run", "1 rows have an unknown status"),
        ("UPDATE run SET finished_at = NULL", "run", "1 rows are finished without a time"),
        ("DELETE FROM model", "run", "1 rows belong to no model"),
        ("DELETE FROM prompt", "prediction", "8 rows belong to no prompt"),
        ("DELETE FROM prediction", "attribution", "14 rows belong to no prediction"),
        ("DELETE FROM attribution", "prediction", "8 rows are done without scores"),
        ("UPDATE prediction SET status = 'skipped'", "prediction", "8 rows have no reason"),
        ("UPDATE prediction SET p_answer = 2", "prediction", "8 rows have a probability outside"),
        ("UPDATE attribution SET score = 'nan'", "attribution", "14 rows have a score that is not"),
        ("UPDATE attribution SET neuron = 8", "attribution", "14 rows name a neuron the model"),
        ("UPDATE attribution SET layer = -1", "attribution", "14 rows name a neuron the model"),
        ("INSERT INTO attribution FROM attribution", "attribution", "repeat run_id, prompt_id"),
        ("UPDATE word_attribution SET contribution = 9", "word_attribution", "2 rows contribute"),
        ("UPDATE word_attribution SET by_layer = [9]", "word_attribution", "2 rows do not have"),
        ("DELETE FROM prediction", "word_attribution", "2 rows belong to no prediction"),
        ("INSERT INTO word_attribution FROM word_attribution", "word_attribution", "repeat run_id"),
        (
            f"{DIRECTION} 9, 0, 1, 'a', 1 FROM model",
            "neuron_direction",
            "1 rows name a neuron the model",
        ),
        (
            f"{DIRECTION} 0, 0, 1, 'a', 'inf' FROM model",
            "neuron_direction",
            "1 rows have a logit that is",
        ),
        ("INSERT INTO run FROM run", "run", "1 rows repeat run_id"),
        ("DELETE FROM knowledge_neuron WHERE lang = 'zh'", "knowledge_neuron", "2 rows differ"),
        ("UPDATE knowledge_neuron SET score = 9", "knowledge_neuron", "8 rows differ from what"),
        (
            "DELETE FROM knowledge_by_neuron WHERE lang = 'zh'",
            "knowledge_by_neuron",
            "4 rows are of facts",
        ),
        (
            "UPDATE knowledge_by_neuron SET score = 9",
            "knowledge_by_neuron",
            "8 rows are of facts with others in knowledge_neuron",
        ),
        ("UPDATE run SET tau = 0.9", "knowledge_neuron", "differ from what the raw scores give"),
    ],
)
def test_a_change_from_outside_is_found(path: Path, sql: str, table: str, problem: str) -> None:
    change(path, sql)
    found = check_database(path)
    assert any(each.table == table and problem in each.problem for each in found), found
    assert not any("\n" in each.problem for each in found)


def test_a_damaged_block_names_its_table(path: Path) -> None:
    with connect(path) as connection:
        ((block,),) = connection.execute(
            "SELECT max(block_id) FROM pragma_storage_info('attribution') WHERE persistent"
        ).fetchall()
    with path.open("r+b") as file:
        file.seek(3 * 4096 + block * 2**18 + 100)
        file.write(b"damage")
    found = check_database(path)
    assert found
    with pytest.raises(DatabaseCorrupt, match=r"^The database is damaged: .*checksum"):
        run_apart(path, "SELECT sum(score) FROM attribution")
    target = path.with_name("target.duckdb")
    with pytest.raises(
        DatabaseCorrupt, match=f"^{path} cannot be merged .* one of them is damaged"
    ):
        merge([path], target)
    assert all(isinstance(each, Problem) for each in found)
    assert all(each.problem.startswith("cannot be read: ") for each in found)
    assert "attribution" in {each.table for each in found}
