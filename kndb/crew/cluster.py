"""A Ray cluster as a request names it, and its division into workers. Imports no Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import inf

from kndb.errors import UsageError


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster whose workers run the model. Needs the extra ``ray``.

    Attributes:
        address: of its head, ``host:port``; by default the one that ``RAY_ADDRESS`` names, or the
            one that runs on this machine, or a new one here.
        workers: how many; by default one for each share of GPUs, or for each node if none are used.
        gpus: for each worker, also a part of one; by default one, if the cluster has any and the
            device is not ``cpu``.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None

    def check(self) -> None:
        """Refuse what can be seen to be wrong without the cluster.

        Raises:
            UsageError: a number is too small, or Ray is not installed.
        """
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers must be at least 1; {self.workers} was given.")
        if self.gpus is not None and not 0 <= self.gpus < inf:
            raise UsageError(f"--gpus-per-worker must be at least 0; {self.gpus:g} was given.")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise UsageError(
                f"--gpus-per-worker must be whole above 1, as Ray divides single GPUs only; "
                f"{self.gpus:g} was given."
            )
        if find_spec("ray") is None:
            raise UsageError(
                "The engine ray needs an extra; install it with `pip install 'kndb[ray]'`."
            )


@dataclass(frozen=True)
class Node:
    """A machine of a cluster, and what it has for workers."""

    cpus: float
    gpus: float

    @classmethod
    def of(cls, resources: Mapping[str, float]) -> Node:
        """From a table of resources as Ray names them."""
        return cls(resources.get("CPU", 0), resources.get("GPU", 0))

    def holds(self, cpus: int, gpus: float) -> int:
        """How many workers of this size it has room for."""
        by_cpus = int(self.cpus // cpus)
        return min(by_cpus, int(self.gpus // gpus)) if gpus else by_cpus


def divide(nodes: Sequence[Node], cluster: RayCluster, device: str) -> tuple[int, int, float]:
    """How many workers there are to be, and the CPUs and GPUs of each.

    They get as many CPUs as let all of them find room, and one where there is too little room.
    """
    gpus = cluster.gpus
    if gpus is None:
        gpus = float(device != "cpu" and any(node.gpus for node in nodes))
    by_default = sum(node.holds(1, gpus) if gpus else node.cpus >= 1 for node in nodes)
    size = cluster.workers or max(by_default, 1)
    most = int(max((node.cpus for node in nodes), default=1))
    enough = (n for n in range(most, 1, -1) if sum(node.holds(n, gpus) for node in nodes) >= size)
    return size, next(enough, 1), gpus
