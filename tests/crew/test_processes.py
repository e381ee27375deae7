"""Ingestion, searches and evaluations in several processes of this machine, which are killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crews import (
    EVALUATIONS,
    FIXED,
    LOOSE,
    PROMPTS,
    SEARCH_TABLES,
    TABLES,
    assert_same_table,
    wait_for_both,
    when_some_are_done,
)
from dying import Dying
from kndb.crew.cluster import RayCluster
from kndb.crew.placement import check_placement
from kndb.crew.processes import Processes, devices_of
from kndb.crew.scheduling import Crew, Ready
from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.errors import KndbError, ModelError, UsageError
from kndb.evaluation import localisation
from kndb.evaluation.factcheck import EvaluationRequest
from kndb.evaluation.faithfulness import FaithfulnessRequest
from kndb.evaluation.localisation import LocalisationRequest
from kndb.evaluation.report.run import ReportRequest, write_report
from kndb.factcheck.calibration import CalibrationRequest
from kndb.models import ModelChoice
from kndb_ingest.attributing import Attributing
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from same_rows import assert_same_rows, close
from saved_models import saved


class Broken(ModelChoice):
    """A choice whose model cannot be loaded in a process of its own."""

    def load(self) -> Any:
        raise ModelError("It cannot be loaded there.")


def kill_one() -> None:
    (one, _) = multiprocessing.active_children()
    assert one.pid
    os.kill(one.pid, signal.SIGKILL)


class Endless(ModelChoice):
    """A choice whose model is loaded for ever."""

    def load(self) -> Any:
        print("loading", flush=True)
        while True:
            time.sleep(3600)


def start_endless() -> None:
    """For a process of its own: a worker that does not end by itself."""
    processes = Processes(Endless("none"), ["cpu"])
    processes.start(0)
    processes.wait()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_while_a_process_starts_is_not_for_it() -> None:
    processes = Processes(ModelChoice(str(saved("tiny-bert"))), ["cpu"])
    try:
        processes.start(0)
        (started,) = multiprocessing.active_children()
        assert started.pid
        os.kill(started.pid, signal.SIGINT)
        assert processes.wait() == Ready(0)
    finally:
        processes.close()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_process_ends_with_the_one_that_started_it() -> None:
    script = "from crew.test_processes import start_endless; start_endless()"
    command = [sys.executable, "-c", script]
    pipe, tests = subprocess.PIPE, Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tests) as starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == "loading\n"
        starting.kill()
        assert starting.communicate(timeout=30) == ("", "")  # nobody has the pipes any more


@pytest.fixture
def request_of(
    many_facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., IngestRequest]:
    monkeypatch.setattr(Attributing, "most", 4)
    monkeypatch.setattr(Crew, "wait_for_one", wait_for_both)

    def made(kind: type[ModelChoice] = ModelChoice) -> IngestRequest:
        model, database = kind(str(saved("tiny-bert"))), tmp_path / "several.duckdb"
        return IngestRequest(database, model, str(many_facts), preset=FIXED, devices=("cpu", "cpu"))

    return made


def test_a_killed_process_is_replaced_and_the_rows_are_those_of_one_process(
    request_of: Callable[..., IngestRequest], local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_of()
    done = ingest(request, when_some_are_done(kill_one))
    assert done.workers == {"cpu": PROMPTS}
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("The process on cpu was lost (signal 9); its work is done again.") == 1
    assert_same_rows(request.database, local, TABLES)
    assert multiprocessing.active_children() == []


@pytest.mark.long
def test_a_search_in_processes_of_which_one_is_killed_has_the_rows_of_one_process(
    searchable: Path,
    local_search: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Crew, "wait_for_one", wait_for_both)
    database = tmp_path / "several.duckdb"
    database.write_bytes(searchable.read_bytes())
    model = ModelChoice(str(saved("tiny-bert")))
    request = SearchRequest(database, model, criterion=LOOSE, top=10, devices=("cpu", "cpu"))
    done = find_degenerate(request, when_some_are_done(kill_one))
    assert (done.new, done.workers) == (PROMPTS, {"cpu": PROMPTS})
    assert capsys.readouterr().err.count("(signal 9); its work is done again.") == 1
    assert_same_rows(database, local_search, SEARCH_TABLES)
    assert find_degenerate(request).new == 0
    assert multiprocessing.active_children() == []


@pytest.mark.long
@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_evaluation_in_processes_of_which_one_is_killed_makes_the_table_of_one_process(
    name: str,
    searchable: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Crew, "wait_for_one", wait_for_both)
    monkeypatch.setattr(localisation, "TOGETHER", 4)
    evaluate, request = EVALUATIONS[name]
    model = ModelChoice(str(saved("tiny-bert")))
    expected = evaluate(request(searchable, model))
    several = request(searchable, model, devices=("cpu", "cpu"))
    found = evaluate(several, when_some_are_done(kill_one))
    assert capsys.readouterr().err.count("(signal 9); its work is done again.") == 1
    assert_same_table(found, expected)


@pytest.mark.long
def test_a_report_starts_its_processes_once_and_has_the_tables_of_one_process(
    searchable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelChoice(str(saved("tiny-bert")))
    started: list[int] = []

    def start(pool: Processes, worker: int, own: Any = Processes.start) -> None:
        started.append(worker)
        own(pool, worker)

    def rows(folder: Path, devices: tuple[str, ...]) -> list[list[Any]]:
        write_report(
            ReportRequest(searchable, model, folder, facts=4, replicates=50, devices=devices)
        )
        files = [folder / "tables" / f"{name}.json" for name in EVALUATIONS]
        return [
            list(row.values()) for file in files for row in json.loads(file.read_text())["rows"]
        ]

    expected = rows(tmp_path / "one", ())
    monkeypatch.setattr(Processes, "start", start)
    assert close(rows(tmp_path / "two", ("cpu", "cpu")), expected, 1e-6)
    assert started == [0, 1]
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"devices": "0", "cluster": RayCluster()}, "leave them out"),
        ({"cluster": RayCluster(workers=0)}, "--workers must be at least 1"),
    ],
)
def test_requests_refuse_what_an_ingestion_does(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    kinds: list[Callable[..., object]] = [
        SearchRequest,
        FaithfulnessRequest,
        LocalisationRequest,
        EvaluationRequest,
        CalibrationRequest,
        partial(ReportRequest, folder=tmp_path),
    ]
    for kind in kinds:
        with pytest.raises(UsageError, match=said):
            kind(tmp_path / "k.duckdb", ModelChoice("demo-masked"), **options)


@pytest.mark.long
def test_an_error_of_the_model_is_the_same_as_here(
    request_of: Callable[..., IngestRequest],
) -> None:
    with pytest.raises(ModelError, match="cannot be loaded there"):
        ingest(request_of(Broken))
    assert multiprocessing.active_children() == []


@pytest.mark.long
def test_prompts_that_kill_their_process_are_named(
    request_of: Callable[..., IngestRequest],
) -> None:
    with pytest.raises(KndbError, match=r"4 prompts from '.*' on killed 3 workers \(The process"):
        ingest(request_of(Dying))


@pytest.mark.parametrize(
    ("devices", "options", "said"),
    [
        (["0", "tpu"], {}, "There is no device 'tpu'"),
        (["auto", "1"], {}, "--devices auto means all GPUs"),
        (["0", "1"], {"cluster": RayCluster()}, "leave them out"),
    ],
)
def test_devices_that_cannot_be_meant_are_refused(
    devices: list[str], options: dict[str, Any], said: str, many_facts: Path, tmp_path: Path
) -> None:
    model = ModelChoice("demo-masked")
    request = IngestRequest(
        tmp_path / "k.duckdb", model, str(many_facts), devices=devices, **options
    )
    with pytest.raises(UsageError, match=said):
        check_placement(request)


def test_a_gpu_that_is_not_there_is_refused(many_facts: Path, tmp_path: Path) -> None:
    path = str(saved("tiny-bert"))
    request = IngestRequest(tmp_path / "k.duckdb", ModelChoice(path), str(many_facts), devices="99")
    with pytest.raises(UsageError, match=r"The device cuda:99 was requested, but torch finds none"):
        ingest(request)


def test_auto_means_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices_of(["auto"]) == ["cuda:0", "cuda:1"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert devices_of(["auto"]) == ["cpu"]
