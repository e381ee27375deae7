"""Options that say where a command runs the model: here, or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kndb.errors import UsageError
from kndb_cli.options import listed

if TYPE_CHECKING:
    from kndb.crew.cluster import RayCluster

_WHERE = "Where the model runs"

Engine = Annotated[
    str,
    typer.Option(
        metavar="ENGINE",
        help="local, or ray: in workers on a Ray cluster (extra ray).",
        rich_help_panel=_WHERE,
    ),
]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        metavar="D,D",
        help="A process for each of these: GPUs by number (0,1), or auto for all GPUs.",
        rich_help_panel=_WHERE,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="The head of the Ray cluster. Default: RAY_ADDRESS, or the cluster on this machine, "
        "or a new one on it.",
        rich_help_panel=_WHERE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Workers, each with the model. Default: as many as the GPUs allow, or one per node.",
        rich_help_panel=_WHERE,
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        metavar="G",
        help="GPUs of each worker, such as 1 or 0.5. Default: 1, if the cluster has any.",
        rich_help_panel=_WHERE,
    ),
]


def placement(
    devices: list[str] | None,
    engine: str,
    address: str | None,
    workers: int | None,
    gpus: float | None,
) -> dict[str, Any]:
    """Where a request's model runs: the fields of ``kndb.crew.placement.Placement``.

    Raises:
        UsageError: an unknown engine, or options of another one.
    """
    return {
        "devices": listed(devices),
        "cluster": _chosen_cluster(engine, address, workers, gpus),
    }


def _chosen_cluster(
    engine: str, address: str | None, workers: int | None, gpus: float | None
) -> RayCluster | None:
    """The cluster that the options ask for; None for this process."""
    # Deferred: --help does not need it.
    from kndb.crew.cluster import RayCluster

    if engine == "ray":
        return RayCluster(address, workers, gpus)
    if engine != "local":
        raise UsageError(f"There is no engine {engine!r}; choose from local, ray.")
    given = {"--ray-address": address, "--workers": workers, "--gpus-per-worker": gpus}
    if wrong := next((name for name, value in given.items() if value is not None), None):
        raise UsageError(f"{wrong} goes with --engine ray; add that, or leave it out.")
    return None
