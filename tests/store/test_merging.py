"""Shards, ingested apart and merged, are the run that a single ingestion makes."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

import kndb
from crash.test_crash import facts
from kndb import IngestRequest, ModelChoice, UsageError, ingest, merge
from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.store.check import check_database
from kndb.store.database import connect, transaction
from kndb.store.shards import Shard, Shards
from kndb_cli.main import main
from same_rows import KEYS, assert_same_rows
from saved_models import saved
from small_store import Model, finished_run

TABLES = [table for table in KEYS if not table.startswith("edit")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "facts.jsonl"
    path.write_text("\n".join(map(json.dumps, facts())), encoding="utf-8")
    return path


def made(path: Path, data: Path, shard: str | None = None, preset: str = "ig-zero") -> Path:
    """A database with a run, or a shard of it, and a search; no path is refined."""
    model = ModelChoice(str(saved("tiny-bert")))
    ingest(IngestRequest(path, model, str(data), preset=preset, shard=shard))
    find_degenerate(SearchRequest(path, model, top=4))
    return path


@pytest.fixture(scope="module")
def whole(data: Path) -> Path:
    return made(data.with_name("whole.duckdb"), data)


@pytest.fixture(scope="module")
def halves(data: Path) -> list[Path]:
    return [made(data.with_name(f"{n}.duckdb"), data, f"{n}/2") for n in (1, 2)]


def rows(path: Path, sql: str) -> list[tuple]:  # type: ignore[type-arg]
    with connect(path) as connection:
        return connection.execute(sql).fetchall()


def test_merged_shards_are_the_whole_run(whole: Path, halves: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "merged.duckdb"
    done = merge(halves, target)
    assert done.missing == {}
    assert_same_rows(target, whole, TABLES)
    assert check_database(target) == []
    counts = [rows(path, "SELECT count(*) FROM prediction") for path in (*halves, target)]
    assert counts[0][0][0] + counts[1][0][0] == counts[2][0][0]
    assert min(counts)[0][0] > 0
    again = merge([*halves, *halves], target)
    assert again.new == {}
    assert_same_rows(target, whole, TABLES)


@pytest.mark.long
def test_shards_can_follow_each_other_in_one_file(whole: Path, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    for shards, shard in (("1/3", "1/3"), ("1,3/3", "3/3"), (None, "2/3")):
        made(path, data, shard)
        assert rows(path, "SELECT status, shards FROM run") == [("finished", shards)]
    assert_same_rows(path, whole, TABLES)


@pytest.mark.long
def test_what_is_left_of_a_shard_can_be_ingested_whole(
    whole: Path, halves: list[Path], data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "k.duckdb"
    path.write_bytes(halves[0].read_bytes())
    made(path, data)
    assert_same_rows(path, whole, TABLES)
    summary = ingest(
        IngestRequest(path, ModelChoice(str(saved("tiny-bert"))), str(data), preset="ig-zero")
    )
    assert (summary.new_prompts, summary.shards) == (0, None)


def test_the_commands_say_what_is_missing(
    halves: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "merged.duckdb"
    assert main(["merge", str(halves[1]), "-o", str(target)]) == 0
    err = capsys.readouterr().err
    assert "new runs: 1" in err
    assert "still lacks the shards 1." in err
    assert main(["runs", "show", str(rows(target, "FROM run")[0][0]), "--db", str(target)]) == 0
    assert "2/2" in capsys.readouterr().out


def test_databases_of_different_runs_are_put_together(whole: Path, tmp_path: Path) -> None:
    other, target = tmp_path / "other.duckdb", tmp_path / "both.duckdb"
    finished_run(other)
    done = merge([whole, other], target)
    assert done.new["run"] == 2
    assert check_database(target) == []
    with kndb.open(target) as database:
        assert {row["model"] for row in database.runs().to_dicts()} == {"tiny", "tiny-bert"}


def test_shards_with_other_settings_are_refused(halves: list[Path], data: Path) -> None:
    other = made(data.with_name("other.duckdb"), data, "2/2", "amig-code")
    with pytest.raises(UsageError, match=r"shards of facts that differ in .*preset \("):
        merge([halves[0], other], data.with_name("never.duckdb"))
    assert not data.with_name("never.duckdb").exists()


def shard_of(path: Path, shard: str, weights: str = "ab" * 32) -> Path:
    finished_run(path, Model(weights_sha256=weights))
    with transaction(path) as connection:
        connection.execute("UPDATE run SET shards = ?", [shard])
    return path


@pytest.mark.parametrize(
    ("shard", "weights", "says"),
    [
        ("2/2", "cd" * 32, "were made by models of other weights, tiny and tiny"),
        ("2/3", "ab" * 32, "divided into 2 shards and into 3"),
    ],
)
def test_shards_that_do_not_belong_together(
    shard: str, weights: str, says: str, tmp_path: Path
) -> None:
    one = shard_of(tmp_path / "1.duckdb", "1/2")
    other = shard_of(tmp_path / "2.duckdb", shard, weights)
    with pytest.raises(UsageError, match=says):
        merge([one, other], tmp_path / "merged.duckdb")


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.duckdb"
    run = finished_run(path)
    with transaction(path) as connection:
        connection.execute("UPDATE run SET status = 'interrupted'")
    with pytest.raises(UsageError, match=f"run {run} in .* is not finished; run its command again"):
        merge([path], tmp_path / "merged.duckdb")


def test_contradictions_are_refused_and_nothing_is_taken(tmp_path: Path) -> None:
    one, other = tmp_path / "1.duckdb", tmp_path / "2.duckdb"
    for path, p in ((one, 0.5), (other, 0.4)):
        finished_run(path)
        with transaction(path) as connection:
            connection.execute("UPDATE prediction SET p_answer = ?", [p])
    target = tmp_path / "merged.duckdb"
    with pytest.raises(UsageError, match=r"contradict each other in the run .*; leave one of them"):
        merge([one, other], target)
    assert rows(target, "SELECT DISTINCT p_answer FROM prediction") == [(0.5,)]


def test_a_database_is_not_merged_into_itself(tmp_path: Path) -> None:
    path = tmp_path / "it's.duckdb"
    finished_run(path)
    with pytest.raises(UsageError, match="merged into itself"):
        merge([path], path)
    assert merge([path], tmp_path / "copy.duckdb").new["run"] == 1


def test_a_target_that_a_crash_left_empty_is_filled(tmp_path: Path) -> None:
    path, target = tmp_path / "1.duckdb", tmp_path / "merged.duckdb"
    finished_run(path)
    duckdb.connect(str(target)).close()
    assert merge([path], target).new["run"] == 1


def test_every_fact_is_in_one_shard() -> None:
    keys = [hash((7, n)) % 2**63 for n in range(1000)]
    shards = [Shard(n, 7) for n in range(1, 8)]
    assert all(sum(shard.has(key) for shard in shards) == 1 for key in keys)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2", "²/3", ""])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        Shard.parse(text)


def test_shards_add_up() -> None:
    every = Shards.parse("1/3").joined(Shards.parse("2,3/3"))
    assert (every.stored, every.missing) == (None, [])
    assert every.joined(Shards.parse("2/5")) == every
