"""The score of every neuron, kept on request: what is stored, where, and what becomes of it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from pyarrow import parquet

import kndb
from crash.test_crash import facts
from kndb.attribution import attribute, preset
from kndb.errors import DatabaseCorrupt, KndbError, UsageError
from kndb.models import ModelChoice
from kndb.store import database, deletion, score_parts, writer
from kndb.store.backup import backup
from kndb.store.check import check_database
from kndb.store.database import connect, transaction
from kndb.store.deletion import delete_run
from kndb.store.export import export
from kndb.store.merging import merge
from kndb.store.readonly import run_sql
from kndb.store.sandbox import run_apart
from kndb.store.score_folder import Part, part_files, scores_folder
from kndb.store.writer import Writer
from kndb_cli.main import main
from kndb_ingest import pipeline
from kndb_ingest.attributing import Attributing
from kndb_ingest.pipeline import ingest
from kndb_ingest.plan import SCORE_BYTES, plan
from kndb_ingest.request import IngestRequest
from kndb_ingest.rows import Rows
from same_rows import assert_same_rows
from saved_models import saved

FIXED = "ig-zero"
"""No path is refined, so that rounding in batches of another size decides nothing."""

TABLES = ("prediction", "attribution", "knowledge_neuron", "prompt", "run")
PROMPTS = 12
POPULATION = 3 * 48


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "facts.jsonl"
    path.write_text("\n".join(map(json.dumps, facts())), encoding="utf-8")
    return path


def request(path: Path, data: Path, **options: Any) -> IngestRequest:
    model = ModelChoice(str(saved("tiny-bert")))
    return IngestRequest(path, model, str(data), **{"preset": FIXED, "keep": "all", **options})


@pytest.fixture(scope="module")
def whole(data: Path) -> Path:
    path = data.with_name("whole.duckdb")
    ingest(request(path, data))
    return path


@pytest.fixture
def path(whole: Path, tmp_path: Path) -> Path:
    """A copy of the database and its parts."""
    return copied(whole, tmp_path / "k.duckdb")


def copied(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    shutil.copytree(scores_folder(source), scores_folder(target))
    return target


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with kndb.open(path) as db:
        return list(db.sql(sql).rows())


def rows_anywhere(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """The answer of a query in this process, and of one in a process that can open no file."""
    found = rows(path, sql)
    assert run_apart(path, sql).result.rows() == found
    return found


def files(path: Path) -> list[Path]:
    return sorted(file for file in scores_folder(path).glob("*/*") if file.is_file())


def scores(path: Path) -> dict[int, np.ndarray[Any, Any]]:
    """The scores of each prompt, ``(n_layers, n_neurons)``, every neuron once."""
    sql = "SELECT prompt_id, layer, neuron, score FROM score ORDER BY ALL"
    found: dict[int, list[float]] = {}
    with kndb.open(path) as db:
        places: dict[int, list[tuple[int, int]]] = {}
        for prompt, layer, neuron, score in db.sql(sql).rows():
            found.setdefault(prompt, []).append(score)
            places.setdefault(prompt, []).append((layer, neuron))
    every = [(layer, neuron) for layer in range(3) for neuron in range(48)]
    assert all(own == every for own in places.values())
    return {prompt: np.array(own).reshape(3, 48) for prompt, own in found.items()}


def assert_same_scores(one: Path, other: Path) -> None:
    left, right = scores(one), scores(other)
    assert left.keys() == right.keys()
    for prompt, own in left.items():
        np.testing.assert_allclose(own, right[prompt], rtol=1e-3, atol=1e-5 * np.abs(own).max())


def test_it_is_what_attribute_finds(whole: Path) -> None:
    with kndb.open(whole) as db:
        prompts = db.sql("SELECT prompt_id, text, answer FROM prompt").rows()
    stored, model = scores(whole), kndb.load_model(saved("tiny-bert"))
    asked = [(text, answer) for _, text, answer in prompts]
    found = list(attribute(model, asked, settings=preset(FIXED, "masked_lm")))
    assert len(stored) == len(found) == PROMPTS
    for own in found:
        prompt = prompts[own.index][0]
        atol = 1e-5 * np.abs(own.scores).max()
        np.testing.assert_allclose(stored[prompt], own.scores, rtol=1e-3, atol=atol)
    assert check_database(whole) == []


def test_thresholds_give_the_knowledge_neurons_and_the_raw_scores(whole: Path) -> None:
    assert rows_anywhere(whole, "SELECT count(*) FROM attribution ANTI JOIN score USING "
                "(run_id, prompt_id, layer, neuron, score)") == [(0,)]  # fmt: skip
    refined = """
        WITH best AS (SELECT run_id, prompt_id, max(score) AS best FROM score GROUP BY ALL),
        asked AS (
            SELECT run_id, fact_id, lang, count(*) AS n
            FROM best JOIN prompt USING (prompt_id) GROUP BY ALL
        ),
        chosen AS (
            SELECT run_id, fact_id, lang, layer, neuron, count(*) AS n_selecting
            FROM score JOIN best USING (run_id, prompt_id) JOIN prompt USING (prompt_id)
            WHERE score > 0.2 * best GROUP BY ALL
        )
        SELECT fact_id, lang, layer, neuron FROM chosen JOIN asked USING (run_id, fact_id, lang)
        WHERE n_selecting > 0.5 * n ORDER BY ALL
    """
    stored = "SELECT fact_id, lang, layer, neuron FROM knowledge_neuron ORDER BY ALL"
    assert rows_anywhere(whole, refined) == rows(whole, stored) != []


def test_it_is_a_run_by_itself(path: Path, data: Path) -> None:
    plain = ingest(request(path, data, keep="top"))
    assert plain.new_prompts == PROMPTS
    assert ingest(request(path, data)).new_prompts == 0
    assert rows(path, f"SELECT count(*) FROM score WHERE run_id = {plain.run_id}") == [(0,)]
    assert check_database(path) == []
    with pytest.raises(UsageError, match="--keep is top or all; 'some' was given"):
        request(path, data, keep="some").check()


KILL = """
import os, signal, sys
from kndb.models import ModelChoice
from kndb.store import score_parts, writer
from kndb_ingest import pipeline

pipeline.COMMIT_PROMPTS, writer.SMALL_PARTS = 1, 3

def die(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found(*_)

path, model, data, moment, left = *sys.argv[1:5], int(sys.argv[5])
owner = writer if moment == "_remove" else score_parts
found = getattr(owner, moment)
setattr(owner, moment, die)
pipeline.ingest(pipeline.IngestRequest(path, model, data, preset="ig-zero", keep="all"))
"""


@pytest.mark.long  # tests/crash kills such a run every day
@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("insert_part", 2),  # the part is there, and the transaction that lists it is not committed
        ("write_part", 1),  # before it is written
        ("_remove", 2),  # small parts were joined, and are left
    ],
)
def test_a_killed_run_goes_on_and_has_every_prompt_once(
    moment: str, left: int, whole: Path, data: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.duckdb"
    arguments = [str(broken), str(saved("tiny-bert")), str(data), moment, str(left)]
    done = subprocess.run([sys.executable, "-c", KILL, *arguments], timeout=240)
    assert done.returncode == -signal.SIGKILL
    assert check_database(broken) == []
    before = rows(broken, "SELECT count(DISTINCT prompt_id), count(*) FROM score")
    stored = rows(broken, "SELECT count(*) FROM prediction")[0][0]
    assert before == [(stored, stored * POPULATION)]
    listed = rows(broken, "SELECT count(*) FROM score_part")[0][0]
    assert (len(files(broken)) > listed) == (moment != "write_part")
    rest = ingest(request(broken, data))
    assert rest.new_prompts == PROMPTS - stored > 0
    assert_same_rows(broken, whole, TABLES)
    assert_same_scores(broken, whole)
    assert check_database(broken) == []
    assert len(files(broken)) == 1


def test_many_commits_make_few_parts(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "COMMIT_SCORES", POPULATION)  # a prompt
    monkeypatch.setattr(score_parts, "FULL_SCORES", 5 * POPULATION)
    monkeypatch.setattr(score_parts, "GROUP_SCORES", 2 * 48)
    path = tmp_path / "k.duckdb"
    ingest(request(path, data))
    sizes = [n for (n,) in rows(path, "SELECT n_prompts FROM score_part ORDER BY ALL")]
    assert sum(sizes) == PROMPTS
    assert len(sizes) == len(files(path)) == 3
    assert max(sizes) <= 5
    assert_same_scores(path, whole)


def test_a_full_disk_is_a_sentence_and_the_run_goes_on(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.duckdb"

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(KndbError, match=r"parquet cannot be written: No space .*make room"):
            ingest(request(path, data))
    assert files(path) == []
    assert check_database(path) == []
    assert ingest(request(path, data)).new_prompts == PROMPTS
    assert_same_scores(path, whole)


def test_a_moved_database_finds_its_parts(path: Path, whole: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    moved = there / "other.duckdb"
    path.rename(moved)
    scores_folder(path).rename(scores_folder(moved))
    link = tmp_path / "link.duckdb"
    link.symlink_to(moved)
    for place in (moved, link):
        assert_same_scores(place, whole)
        assert rows_anywhere(place, "SELECT count(*) FROM score") == [(PROMPTS * POPULATION,)]


def test_several_readers_of_one_process_share_them(path: Path) -> None:
    sql = "SELECT count(*) FROM score"
    with kndb.open(path) as one:
        with kndb.open(path) as other:
            assert one.sql(sql).rows() == other.sql(sql).rows() == [(PROMPTS * POPULATION,)]
        assert one.sql(sql).rows() == [(PROMPTS * POPULATION,)]


def test_ctrl_c_while_a_part_is_read() -> None:
    """Python may run the handler within a read, and DuckDB makes an error of what it raises."""

    class Interrupted:
        def execute(self, *_: object) -> None:
            raise duckdb.Error("KeyboardInterrupt: <EMPTY MESSAGE>")

    with pytest.raises(KeyboardInterrupt):
        run_sql(Interrupted(), "FROM score")  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["moved", "cut"])
def test_without_its_parts_it_says_so_and_all_else_works(
    how: str, path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(request(path, data, preset="amig"))  # its parts stay
    (lost, other) = [
        rows(path, f"SELECT run_id FROM run WHERE preset = '{name}'")[0][0]
        for name in (FIXED, "amig")
    ]
    if how == "moved":
        shutil.rmtree(scores_folder(path) / str(lost))
    else:
        (part,) = (scores_folder(path) / str(lost)).iterdir()
        part.write_bytes(part.read_bytes()[:-100])
    sentence = f"1 of the 1 parts with the scores of run {lost} are missing"
    with kndb.open(path) as db:
        assert len(db.query()) > 0
        with pytest.raises(UsageError, match=sentence):
            db.sql("SELECT count(*) FROM score")
        every = db.sql(f"SELECT count(*) FROM score WHERE run_id = {other}").rows()
        assert every == [(PROMPTS * POPULATION,)]
    assert main(["sql", f"FROM score WHERE run_id = {lost}", "--db", str(path)]) == 2
    assert sentence in capsys.readouterr().err
    assert main(["db", "check", "--db", str(path)]) == 1
    assert "have a file that is missing or of another size" in capsys.readouterr().out
    with pytest.raises(KndbError, match=sentence):
        merge([path], path.with_name("target.duckdb"))


@pytest.mark.parametrize("how", ["bytes", "columns", "rows"])
def test_a_damaged_part_is_a_sentence_and_all_else_works(how: str, path: Path) -> None:
    (part,) = files(path)
    if how == "bytes":
        part.write_bytes(bytes(part.stat().st_size))
    else:
        found = parquet.read_table(part)
        parquet.write_table(found.slice(0, 7) if how == "rows" else found.select(["layer"]), part)
        with transaction(path) as connection:  # as somebody's database may say
            connection.execute("UPDATE score_part SET n_bytes = ?", [part.stat().st_size])
    sentence = "1 of the 1 parts with the scores of run .* are missing or damaged"
    with kndb.open(path) as db:
        assert len(db.query()) > 0
        if how != "rows":
            with pytest.raises(UsageError, match=sentence):
                db.sql("FROM score")
    assert {problem.table for problem in check_database(path)} == {"score_part"}
    with pytest.raises(KndbError, match=f"{part} is damaged"):
        merge([path], path.with_name("target.duckdb"))


def flip_a_bit_of_a_score(part: Path) -> None:
    """Scores hardly compress: zstd keeps their bytes as they are, and notices nothing."""
    with parquet.ParquetFile(part) as file:
        page = file.metadata.row_group(file.num_row_groups - 1).column(4)
    whole = bytearray(part.read_bytes())
    whole[page.data_page_offset + page.total_compressed_size // 2] ^= 1
    part.write_bytes(whole)


def test_a_flipped_bit_is_found_and_not_merged(path: Path, data: Path, tmp_path: Path) -> None:
    ingest(request(tmp_path / "other.duckdb", data, preset="amig"))
    target = tmp_path / "target.duckdb"
    (part,) = files(path)
    flip_a_bit_of_a_score(part)
    (problem,) = check_database(path)
    assert problem.problem == f"the file {part.parent.name}/{part.name} is damaged"
    with pytest.raises(KndbError, match=f"{part} is damaged"):
        merge([tmp_path / "other.duckdb", path], target)
    assert not target.exists()
    assert not scores_folder(target).exists()


@pytest.mark.parametrize("skipped", [0, 60], ids=["with its header", "without its header"])
def test_a_page_that_cannot_be_read_is_a_sentence(path: Path, skipped: int) -> None:
    (part,) = files(path)
    with parquet.ParquetFile(part) as file:
        column = file.metadata.row_group(file.num_row_groups - 1).column(4)
    whole = bytearray(part.read_bytes())
    damage = column.total_compressed_size - skipped
    end = column.data_page_offset + column.total_compressed_size
    whole[end - damage : end] = bytes(damage)
    part.write_bytes(whole)
    name = f"The part of scores {part.parent.name}/{part.name}"
    sentence = f"^{name if skipped else 'A part of scores'} is damaged; "
    sql = "SELECT sum(score) FROM score"
    with kndb.open(path) as db, pytest.raises(DatabaseCorrupt, match=sentence):
        db.sql(sql)
    with pytest.raises(DatabaseCorrupt, match=sentence):
        run_apart(path, sql)
    for name in ("score.parquet", "score.csv"):
        with pytest.raises(DatabaseCorrupt, match=sentence):
            export(path, "score", path.with_name(name))
        assert not path.with_name(name).exists()


def test_parts_that_the_target_has_are_not_read(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.duckdb"
    merge([path], target)
    flip_a_bit_of_a_score(files(path)[0])
    assert merge([path], target).new == {}
    assert check_database(target) == []


def test_a_link_in_place_of_a_part_is_not_followed_by_who_joins_parts(path: Path) -> None:
    (file,) = files(path)
    with kndb.open(path) as db:
        (row,) = db.sql("SELECT run_id, part_id, n_prompts, n_bytes FROM score_part").rows()
    file.symlink_to(file.rename(path.with_name("elsewhere.parquet")))
    with pytest.raises(KndbError, match="missing or damaged"):
        score_parts.prompts_in(path, Part(*row), (3, 48))


def test_a_file_in_place_of_the_folder_is_a_sentence(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.duckdb"
    scores_folder(target).touch()
    with pytest.raises(KndbError, match="what was stored before is safe"):
        merge([path], target)
    one = np.zeros((3, 1, 48), np.float32)
    with pytest.raises(KndbError, match="what was stored before is safe"):
        score_parts.write_part(target, 1, np.array([5]), one)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_strange_file_beside_the_parts_is_left_alone(path: Path) -> None:
    (part,) = files(path)
    shutil.copyfile(part, os.fsencode(part.parent) + b"/part-\xff.parquet")
    assert rows_anywhere(path, "SELECT count(*) FROM score") == [(PROMPTS * POPULATION,)]


def test_the_sandbox_reads_no_other_file(path: Path, tmp_path: Path) -> None:
    """Another folder's part, by its path or through a link, and the own one by its path."""
    (own,) = files(path)
    other = tmp_path / "other.parquet"
    shutil.copyfile(own, other)
    own.with_name("part-1.parquet").symlink_to(other)
    run = own.parent.name
    names = [str(other), str(own), f"kndb://{run}/part-1.parquet", f"kndb://{run}/*.parquet"]
    names += [f"kndb://{run}/../../other.parquet", "kndb:///etc/passwd", "/etc/passwd"]
    with kndb.open(path) as db:
        allowed = f"FROM read_parquet('kndb://{run}/{own.name}')"
        count = db._connection.execute(f"SELECT count(*) {allowed}").fetchall()
        assert count == [(PROMPTS * POPULATION,)]
        for name in names:
            for table in (f"read_parquet('{name}')", f"read_text('{name}')"):
                with pytest.raises(UsageError):
                    db.sql(f"FROM {table}")
                with pytest.raises(UsageError):
                    run_apart(path, f"FROM {table}")
                with pytest.raises(Exception, match=r"Permission Error|Error: No files"):
                    db._connection.execute(f"FROM {table}")  # without the first wall
        for statement in (
            f"COPY run TO 'kndb://{run}/new.parquet'",
            f"COPY run TO 'kndb://{run}/{own.name}' (USE_TMP_FILE false)",
            "SET allowed_paths = []",
            f"ATTACH 'kndb://{run}/{own.name}' AS other",
        ):
            with pytest.raises(Exception, match=r"Permission|locked|only be read|Not implemented"):
                db._connection.execute(statement)
    assert rows(path, "SELECT count(*) FROM score") == [(PROMPTS * POPULATION,)]


@pytest.mark.long
def test_shards_merge_to_the_whole_and_nothing_is_there_twice(
    whole: Path, data: Path, tmp_path: Path
) -> None:
    halves = [tmp_path / f"{number}.duckdb" for number in (1, 2)]
    for number, half in enumerate(halves, 1):
        ingest(request(half, data, shard=f"{number}/2"))
    target = tmp_path / "target.duckdb"
    assert merge(halves, target).new["score_part"] == 2
    assert merge([*halves, whole], target).new.get("score_part", 0) == 0
    assert_same_rows(target, whole, TABLES)
    assert_same_scores(target, whole)
    assert check_database(target) == []
    shutil.rmtree(scores_folder(target))
    target.unlink()
    merge([halves[0], whole], target)  # of the whole, what the shard lacks
    assert_same_scores(target, whole)
    assert check_database(target) == []


def test_a_backup_has_them(path: Path, whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    size = backup(path, copy)
    assert size == copy.stat().st_size + sum(file.stat().st_size for file in files(copy))
    assert_same_scores(copy, whole)
    copy.unlink()
    with pytest.raises(UsageError, match=r"copy\.duckdb\.scores exists already"):
        backup(path, copy)


def test_a_backup_without_a_part_is_refused(path: Path, tmp_path: Path) -> None:
    next(iter(files(path))).unlink()
    with pytest.raises(KndbError, match=r"cannot be copied as a whole: 1 of the 1 parts"):
        backup(path, tmp_path / "copy.duckdb")
    assert not (tmp_path / "copy.duckdb").exists()
    assert not scores_folder(tmp_path / "copy.duckdb").exists()


def test_deleting_the_run_removes_nothing_else(path: Path) -> None:
    ((run,),) = rows(path, "SELECT run_id FROM run")
    own = scores_folder(path) / str(run) / "own.txt"
    own.write_text("not kndb's")
    delete_run(path, run)
    assert [*own.parent.iterdir()] == [own]


def test_deleting_the_run_removes_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ((run,),) = rows(path, "SELECT run_id FROM run")
    assert main(["runs", "delete", str(run), "--yes", "--db", str(path)]) == 0
    assert "MiB beside it are gone" in capsys.readouterr().err
    assert not scores_folder(path).exists()
    assert rows(path, "SELECT count(*) FROM score") == [(0,)]


@pytest.mark.parametrize("ends", [delete_run, lambda path, run: Writer(path).finish(run, 0.2, 0.5)])
def test_files_go_while_no_other_process_can_open_the_database(
    ends: Callable[[Path, int], object], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another process may list them again, or be about to read them."""
    ((run,),) = rows(path, "SELECT run_id FROM run")
    seen = []

    def removes(*_: object) -> None:
        script = f"import duckdb; duckdb.connect({str(path)!r}, read_only=True)"
        opened = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        seen.append(b"lock" in opened.stderr)

    monkeypatch.setattr(deletion, "remove_run", removes)
    monkeypatch.setattr(writer, "_remove", removes)
    ends(path, run)
    assert seen == [True]


def test_a_part_that_is_gone_meanwhile_is_told_to_who_asks_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"kndb://1/part-1.parquet": path.with_name("gone")}
    monkeypatch.setattr(database, "part_files", lambda path: {**part_files(path), **gone})
    with connect(path, hold=True) as connection:
        assert connection.execute("SELECT count(*) FROM score").fetchall() != []
        with pytest.raises(Exception, match="gone"):
            connection.execute("FROM read_parquet('kndb://1/part-1.parquet')")


def test_optimize_leaves_them_alone(path: Path, whole: Path) -> None:
    assert main(["db", "optimize", "--quiet", "--db", str(path)]) == 0
    assert_same_scores(path, whole)
    assert main(["export", "score", "--db", str(path), "-o", str(path.with_name("all.csv"))]) == 0
    lines = path.with_name("all.csv").read_text().splitlines()
    assert len(lines) == PROMPTS * POPULATION + 1


def test_the_check_counts(path: Path) -> None:
    with transaction(path) as connection:
        connection.execute(
            "UPDATE prediction SET status = 'skipped', reason = 'none' WHERE prompt_id = "
            "(SELECT min(prompt_id) FROM prediction)"
        )
    found = [problem.problem for problem in check_database(path) if problem.table == "score_part"]
    assert found == ["1 prompts have scores but are not done"]


def test_a_worker_keeps_them(data: Path, tmp_path: Path) -> None:
    asked = request(tmp_path / "k.duckdb", data)
    left = pipeline.prompts_left(asked.data, frozenset())
    model, settings = asked.model.load(), asked.settings("masked_lm")
    kept, none = (
        Rows.joined(
            list(Attributing(settings, None, None, False, every).results(model, [*left.items()]))
        ).scores
        for every in (True, False)
    )
    assert set(kept["prompt_id"].to_pylist()) == set(left)
    assert set(map(len, kept["scores"].to_pylist())) == {POPULATION}
    assert none.num_rows == 0


def test_a_plan_says_what_they_take(data: Path, tmp_path: Path) -> None:
    planned = plan(request(tmp_path / "k.duckdb", data))
    assert planned.scores == round(SCORE_BYTES * POPULATION * PROMPTS)
    plain = plan(request(tmp_path / "k.duckdb", data, keep="top"))
    assert planned.disk - plain.disk == planned.scores
