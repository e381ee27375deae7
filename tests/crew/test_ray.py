"""Work on a real Ray cluster of two nodes on this machine, whose parts are killed."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import kndb
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
from kndb.crew.engines import RAY_SETTINGS
from kndb.crew.scheduling import Crew
from kndb.degenerate.search import SearchRequest, find_degenerate
from kndb.errors import KndbError, ModelError, UsageError
from kndb.evaluation import localisation
from kndb.models import ModelChoice
from kndb.models.loading import weights_hash
from kndb_ingest.attributing import Attributing
from kndb_ingest.pipeline import ingest
from kndb_ingest.request import IngestRequest
from pausing import READY, paused
from same_rows import assert_same_rows
from saved_models import saved

os.environ.update(RAY_SETTINGS)  # Ray reads them when it is imported
pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = [
    pytest.mark.long,
    # Ray leaves sockets and files open, and warns of its own future.
    pytest.mark.filterwarnings("default"),
]

ROOT = Path(__file__).parents[2]


class Nodes:
    """A cluster: a head without room for workers, and two nodes with room for one each."""

    def __init__(self) -> None:
        # Here, because Ray may not be installed.
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(2)]
        self.address: str = self.cluster.address

    def kill(self) -> None:
        """Kill a node with all its processes, and put another in its place."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def restore(self) -> None:
        self.nodes += [self.cluster.add_node(num_cpus=1) for _ in range(2 - len(self.nodes))]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        paths = [ROOT, *(ROOT / part for part in ("ingest", "cli", "migrations", "tests"))]
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
        found = Nodes()
        yield found
        found.cluster.shutdown()


@pytest.fixture
def request_of(
    nodes: Nodes, many_facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., IngestRequest]:
    monkeypatch.setattr(Attributing, "most", 4)
    monkeypatch.setattr(Crew, "wait_for_one", wait_for_both)

    def made(kind: type[ModelChoice] = ModelChoice, **options: Any) -> IngestRequest:
        model = kind(str(saved("tiny-bert")))
        cluster = RayCluster(nodes.address, **options)
        database = tmp_path / "ray.duckdb"
        return IngestRequest(database, model, str(many_facts), preset=FIXED, cluster=cluster)

    return made


def workers() -> list[int]:
    """The processes of actors that belong to this process's cluster."""
    parents: dict[int, int] = {}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
            command = stat.with_name("cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if command.startswith(b"ray::Worker"):
            found.append(int(stat.parent.name))
    return [pid for pid in found if os.getpid() in _ancestors(pid, parents)]


def _ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid := parents.get(pid, 0):
        yield pid


def kill_workers() -> list[int]:
    """Kill all workers, and return what processes they were."""
    killed = workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return killed


def test_it_stores_what_a_local_run_does(
    request_of: Callable[..., IngestRequest], local: Path
) -> None:
    request = request_of()
    done = ingest(request)
    assert sum(done.workers.values()) == done.new_prompts == PROMPTS
    assert len(done.workers) == 2
    assert_same_rows(request.database, local, TABLES)
    again = ingest(request)
    assert (again.new_prompts, again.workers) == (0, {})


def test_killed_workers_are_replaced(
    request_of: Callable[..., IngestRequest], local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_of()
    killed: list[int] = []
    done = ingest(request, when_some_are_done(lambda: killed.extend(kill_workers())))
    after = {int(name.rpartition(":")[2]) for name in done.workers} - set(killed)
    assert after
    assert sum(done.workers.values()) == PROMPTS
    out, err = capsys.readouterr()
    assert (out, err.count("(its worker process has died); its work is done again")) == ("", 2)
    assert_same_rows(request.database, local, TABLES)


def test_a_killed_node_is_done_without(
    request_of: Callable[..., IngestRequest],
    local: Path,
    nodes: Nodes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = request_of()
    try:
        done = ingest(request, when_some_are_done(nodes.kill))
    finally:
        nodes.restore()
    out, err = capsys.readouterr()
    assert (out, err.count("its work is done again")) == ("", 1)
    assert sum(done.workers.values()) == PROMPTS
    assert_same_rows(request.database, local, TABLES)


def test_a_killed_driver_goes_on(
    request_of: Callable[..., IngestRequest], local: Path, many_facts: Path
) -> None:
    request = request_of()
    code = f"""
from kndb_ingest import pipeline
from kndb_ingest.attributing import Attributing
from kndb_ingest.request import IngestRequest
from kndb.crew.cluster import RayCluster
from kndb.models import ModelChoice
from kndb.progress import silent
pipeline.COMMIT_PROMPTS, Attributing.most = 1, 4
request = IngestRequest(
    {str(request.database)!r}, ModelChoice({request.model.name!r}), {str(many_facts)!r},
    preset={FIXED!r}, cluster=RayCluster({request.cluster and request.cluster.address!r}),
)
pipeline.ingest(request, pausing(silent, 8))
"""
    with paused(code, request.database.with_name("some-are-stored")) as child:
        child.kill()
        assert child.wait(READY) == -signal.SIGKILL
    with kndb.open(request.database) as db:
        ((stored,),) = db.sql("SELECT count(*) FROM prediction").rows()
    assert 8 <= stored < PROMPTS
    done = ingest(request)
    assert sum(done.workers.values()) == done.new_prompts == PROMPTS - stored
    assert_same_rows(request.database, local, TABLES)


def test_prompts_that_kill_their_workers_are_named(
    request_of: Callable[..., IngestRequest],
) -> None:
    with pytest.raises(
        KndbError, match=r"4 prompts from '.*' on killed 3 workers \(The worker \S+ was"
    ):
        ingest(request_of(Dying))


def test_an_error_of_the_model_is_the_same_as_here(
    request_of: Callable[..., IngestRequest],
) -> None:
    class Elsewhere(ModelChoice):
        def load(self) -> Any:
            raise ModelError("It cannot be loaded there.")

    with pytest.raises(ModelError, match="cannot be loaded there"):
        ingest(request_of(Elsewhere))


@pytest.mark.parametrize(
    ("ours", "value", "said"),
    [
        ("version", lambda package: "9.9", r"The worker \S+:\d+ has kndb .* and this is kndb 9.9"),
        ("weights_hash", lambda files: "0123", r"On the worker \S+:\d+ the model .* other weights"),
    ],
)
def test_other_workers_are_refused(
    request_of: Callable[..., IngestRequest],
    monkeypatch: pytest.MonkeyPatch,
    ours: str,
    value: Any,
    said: str,
) -> None:
    request = request_of()
    assert weights_hash(request.model.files) != "0123"
    monkeypatch.setattr(f"kndb.crew.ray_engine.{ours}", value)
    with pytest.raises(ModelError, match=said):
        ingest(request)
    assert not request.database.exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:x", "auto:0"])
def test_an_address_where_nothing_is_is_one_sentence(
    address: str, many_facts: Path, tmp_path: Path
) -> None:
    model = ModelChoice(str(saved("tiny-bert")))
    request = IngestRequest(tmp_path / "k", model, str(many_facts), cluster=RayCluster(address))
    with pytest.raises(UsageError, match=f"^No Ray cluster at {address} can be reached: .*head"):
        ingest(request)


@pytest.fixture
def search_of(
    nodes: Nodes, searchable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SearchRequest]:
    monkeypatch.setattr(Crew, "wait_for_one", wait_for_both)
    database = tmp_path / "search.duckdb"
    database.write_bytes(searchable.read_bytes())

    def made(address: str = nodes.address) -> SearchRequest:
        model, cluster = ModelChoice(str(saved("tiny-bert"))), RayCluster(address)
        return SearchRequest(database, model, criterion=LOOSE, top=10, cluster=cluster)

    return made


def test_a_search_whose_workers_are_killed_stores_what_a_local_one_does(
    search_of: Callable[..., SearchRequest],
    local_search: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = search_of()
    done = find_degenerate(request, when_some_are_done(kill_workers))
    assert sum(done.workers.values()) == done.new == PROMPTS
    assert capsys.readouterr().err.count("its work is done again") == 2
    assert_same_rows(request.database, local_search, SEARCH_TABLES)


def test_a_search_whose_driver_is_killed_goes_on(
    search_of: Callable[..., SearchRequest], local_search: Path
) -> None:
    request = search_of()
    code = f"""
from pathlib import Path
from kndb.crew.cluster import RayCluster
from kndb.degenerate import search
from kndb.degenerate.criterion import Criterion
from kndb.models import ModelChoice
from kndb.progress import silent
search.COMMIT_FACTS = 1
request = search.SearchRequest(
    Path({str(request.database)!r}), ModelChoice({request.model.name!r}), top=10,
    criterion=Criterion(t_low={LOOSE.t_low}, t_high={LOOSE.t_high}),
    cluster=RayCluster({request.cluster and request.cluster.address!r}),
)
search.find_degenerate(request, pausing(silent, 8))
"""
    with paused(code, request.database.with_name("some-are-stored")) as child:
        child.kill()
        assert child.wait(READY) == -signal.SIGKILL
    with kndb.open(request.database) as db:
        ((stored,),) = db.sql("SELECT count(*) FROM degenerate_fact").rows()
    assert 8 <= stored < PROMPTS
    done = find_degenerate(request)
    assert sum(done.workers.values()) == done.new == PROMPTS - stored
    assert_same_rows(request.database, local_search, SEARCH_TABLES)


def test_a_search_without_a_cluster_is_one_sentence(
    search_of: Callable[..., SearchRequest],
) -> None:
    with pytest.raises(UsageError, match=r"^No Ray cluster at 127.0.0.1:1 can be reached: .*head"):
        find_degenerate(search_of("127.0.0.1:1"))


@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_evaluation_whose_workers_are_killed_makes_the_table_of_a_local_one(
    name: str,
    nodes: Nodes,
    searchable: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Crew, "wait_for_one", wait_for_both)
    monkeypatch.setattr(localisation, "TOGETHER", 4)
    evaluate, request = EVALUATIONS[name]
    model = ModelChoice(str(saved("tiny-bert")))
    expected = evaluate(request(searchable, model))
    there = request(searchable, model, cluster=RayCluster(nodes.address))
    found = evaluate(there, when_some_are_done(kill_workers))
    assert capsys.readouterr().err.count("its work is done again") == 2
    assert_same_table(found, expected)


@contextmanager
def silent_server() -> Iterator[int]:
    """A port where connections are accepted, and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def web_server() -> Iterator[int]:
    """A port where HTTP/1 is spoken."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("server", [silent_server, web_server])
def test_a_server_that_is_not_ray_is_one_sentence(
    server: Callable[[], AbstractContextManager[int]],
    many_facts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kndb.crew.ray_engine.CONNECT_SECONDS", 1.0)
    monkeypatch.delattr("ray.init")  # it would try for minutes
    with server() as port:
        cluster = RayCluster(f"127.0.0.1:{port}")
        model = ModelChoice(str(saved("tiny-bert")))
        request = IngestRequest(tmp_path / "k", model, str(many_facts), cluster=cluster)
        with pytest.raises(UsageError, match=f"^No Ray cluster at .*:{port} .*: .* is not Ray;"):
            ingest(request)
