"""Runs a model in actors of a Ray cluster. Needs the extra ``ray``; writes no database.

Every actor loads the model once, and does parts of works with it. An actor that dies is replaced by
a new one; Ray itself restarts and repeats nothing.
"""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from kndb.crew.cluster import Node, RayCluster, divide
from kndb.crew.crewed import Crewed, Loaded
from kndb.crew.scheduling import Died, Done, Ready
from kndb.crew.work import Part
from kndb.errors import ModelError, UsageError, first_line, one_line
from kndb.models import ModelChoice
from kndb.models.loading import weights_hash
from kndb.models.places import EMBEDDED_MODELS
from kndb.progress import say

CONNECT_SECONDS = 10.0
"""How long the head of a cluster may take to accept a connection, and again to answer."""

GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a client of gRPC says first: the preface of HTTP/2 and empty settings (RFC 9113, 3.4)."""

FRAME_HEADER = 9
"""Bytes: length (3), type, flags, stream (4); the first frame of a server has type 4, SETTINGS."""

PATIENCE = 30.0
"""Seconds without a worker after which a note says so, and again."""


@dataclass(frozen=True)
class Identity:
    """What a worker must have in common with the process that gives it work."""

    kndb: str
    weights_sha256: str


class Worker:
    """An actor: it holds a model, and works with it."""

    def load(self, choice: ModelChoice, expected: Identity) -> Loaded:
        """Load the model.

        Raises:
            ModelError: it cannot be loaded, or kndb or the model is another one here.
            UsageError: a device that this machine lacks.
        """
        name = f"{socket.gethostname()}:{os.getpid()}"
        if (own := version("kndb")) != expected.kndb:
            raise ModelError(
                f"The worker {name} has kndb {own}, and this is kndb {expected.kndb}; install the "
                "same on both."
            )
        self._model = choice.load()
        if (sha256 := self._model.info.weights_sha256) != expected.weights_sha256:
            raise ModelError(
                f"On the worker {name} the model {choice.name} has other weights "
                f"({sha256[:12]}) than here ({expected.weights_sha256[:12]}); give it the same "
                "files, or --revision."
            )
        return Loaded(name, self._model.info, self._model.adapter)

    def run(self, part: Part[Any, Any]) -> list[Any]:
        """Do a part of a work.

        Raises:
            KndbError: it cannot be done.
        """
        return part.results(self._model)


class Actors:
    """The pool of a crew (``crewed.ModelPool``): workers, and calls whose results are awaited."""

    def __init__(self, choice: ModelChoice, needs: Mapping[str, float]) -> None:
        self.loaded: dict[int, Loaded] = {}
        self.done = Counter[str]()
        self._choice = choice
        self._needs = needs
        self._expected = Identity(version("kndb"), weights_hash(choice.files))
        self._actors: dict[int, Any] = {}
        self._awaited: dict[Any, tuple[int, int | None]] = {}  # calls: worker, number of its part

    def start(self, worker: int) -> None:
        """Begin to start an actor, which loads the model."""
        actor = ray.remote(Worker).options(**self._needs).remote()
        self._actors[worker] = actor
        self._awaited[actor.load.remote(self._choice, self._expected)] = worker, None

    def give(self, worker: int, number: int, part: Part[Any, Any]) -> None:
        """Call an actor that is ready."""
        self._awaited[self._actors[worker].run.remote(part)] = worker, number

    def wait(self) -> Ready | Done | Died:
        """The first call that ends; the oldest, if several have."""
        call = self._first()
        worker, number = self._awaited.pop(call)
        try:
            found = ray.get(call)
        except RayTaskError as error:  # raised by the worker's code
            raise error.cause from error
        except RayError as error:
            return self._died(worker, error)
        if number is None:
            self.loaded[worker] = found
            return Ready(worker)
        self.done[self.loaded[worker].name] += len(found)
        return Done(worker, number, found)

    def _first(self) -> Any:
        while True:
            ready, _ = ray.wait(list(self._awaited), timeout=PATIENCE)
            if ready:
                return ready[0]
            if all(number is None for _, number in self._awaited.values()):
                needs = ", ".join(f"{n:g} {name[4:].upper()}" for name, n in self._needs.items())
                say(
                    "No worker is ready yet: they are loading the model, or the cluster has no "
                    f"room for one ({needs})."
                )

    def _died(self, worker: int, error: RayError) -> Died:
        """Forget an actor and what was awaited of it."""
        self._awaited = {call: own for call, own in self._awaited.items() if own[0] != worker}
        ray.kill(self._actors.pop(worker))  # it may only be out of reach
        name = f" {self.loaded[worker].name}" if worker in self.loaded else ""
        return Died(worker, f"The worker{name} was lost ({_reason(error)})")

    def close(self) -> None:
        """Stop all actors."""
        for actor in self._actors.values():
            ray.kill(actor)


def _reason(error: RayError) -> str:
    """What Ray says of a death, without the ids and advice around it."""
    text = str(error).strip()
    if found := re.search(r"because (its [^.]+)\.", text):
        return found[1]
    return text.splitlines()[-1] if "creation task" in text else first_line(error)[:200]


@contextmanager
def on_ray(choice: ModelChoice, cluster: RayCluster) -> Iterator[Crewed]:
    """An engine on a cluster, with one worker ready at least.

    Raises:
        UsageError: the cluster cannot be reached.
        ModelError: the model cannot be loaded, or is another one there.
        KndbError: the workers died.
    """
    with _connected(cluster.address):
        nodes = [Node.of(node["Resources"]) for node in ray.nodes() if node["Alive"]]
        size, cpus, gpus = divide(nodes, cluster, choice.device)
        needs = {"num_cpus": cpus, "num_gpus": gpus}
        actors = Actors(_as_seen_there(choice), needs)
        try:
            yield Crewed(actors, size)
        finally:
            actors.close()


def _as_seen_there(choice: ModelChoice) -> ModelChoice:
    """The choice, with a path that does not depend on the working directory."""
    path = Path(choice.name)
    if choice.name in EMBEDDED_MODELS or not path.exists():
        return choice
    return replace(choice, name=str(path.absolute()))


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, unless this process is connected already."""
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        if address and ":" in address:
            _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        where = f"at {address} " if address else ""
        reason = getattr(error, "strerror", None) or one_line(error).partition(". ")[0].rstrip(".")
        raise UsageError(
            f"No Ray cluster {where}can be reached: {reason}; give the address of its head, such "
            "as --ray-address 10.0.0.1:6379."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Refuse an address at which Ray would try for minutes.

    Raises:
        OSError: nothing answers there, or what answers speaks no gRPC, as Ray does.
        ValueError: the address has no port.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    place = host.strip("[]"), int(port)
    with socket.create_connection(place, CONNECT_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return  # it expects certificates, which Ray itself presents
        if not _speaks_grpc(connection):
            raise ConnectionError("what listens there is not Ray")


def _speaks_grpc(connection: socket.socket) -> bool:
    try:
        connection.sendall(GREETING)
        with connection.makefile("rb") as answer:
            header = answer.read(FRAME_HEADER)
    except OSError:  # it says nothing, or hangs up
        return False
    return len(header) == FRAME_HEADER and header[3] == 4
