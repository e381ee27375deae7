"""Where a model runs, as a request says it, checked before torch or Ray is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kndb.crew.cluster import RayCluster
from kndb.errors import UsageError
from kndb.models.choice import ModelChoice
from kndb.models.devices import SPREAD, check_names


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the model of a request runs: the base of requests that can be run by workers.

    Attributes:
        devices: a process for each of them runs the model: ``auto`` for all GPUs, or ``0``, ``1``
            and so on, or names such as ``cuda:0`` and ``cpu``, which may repeat; the model's own
            device when empty.
        cluster: the Ray cluster where the model runs; on this machine when None.
    """

    devices: str | Sequence[str] = ()
    cluster: RayCluster | None = None

    def __post_init__(self) -> None:
        """Take one device for a sequence of one."""
        one = isinstance(self.devices, str)
        object.__setattr__(self, "devices", (self.devices,) if one else tuple(self.devices))


class Placed(Protocol):
    """A request that says which model runs, and where: a :class:`Placement` with a model."""

    @property
    def model(self) -> ModelChoice: ...  # noqa: D102

    @property
    def devices(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def cluster(self) -> RayCluster | None: ...  # noqa: D102


def check_placement(request: Placed) -> None:
    """Refuse what can be seen to be wrong; whether devices and cluster are there is seen later.

    Raises:
        UsageError: an option is wrong, two contradict each other, or Ray is not installed.
    """
    if request.devices and request.cluster is not None:
        raise UsageError("--devices are of this machine; with --engine ray leave them out.")
    if request.cluster is not None:
        request.cluster.check()
    if request.devices and request.model.device != "auto":
        raise UsageError("--device and --devices were given; leave one of them out.")
    for name in request.devices:
        if name == "auto" and len(request.devices) > 1:
            raise UsageError("--devices auto means all GPUs; name no others beside it.")
        if name == SPREAD:
            raise UsageError(
                "--devices gives each process a device of its own; a model that is spread takes "
                "--device spread."
            )
        check_names(f"cuda:{name}" if name.isdecimal() else name, request.model.dtype)
