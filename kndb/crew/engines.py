"""What runs a model: this process, several, or the workers of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any, Protocol, Self

from kndb.crew.placement import Placed
from kndb.crew.work import ItemT, ResultT, Work
from kndb.models import LanguageModel, ModelInfo

RAY_SETTINGS = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",  # all it would print about its nodes on standard output
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Settings of Ray, where the user has not set them."""


class Engine(Protocol):
    """A model that is ready to run.

    Attributes:
        info: the model.
        adapter: what runs it.
        workers: items of the newest work that are done, by the worker's name; none in this process.
    """

    @property
    def info(self) -> ModelInfo: ...  # noqa: D102

    @property
    def adapter(self) -> str: ...  # noqa: D102

    @property
    def workers(self) -> Mapping[str, int]: ...  # noqa: D102

    def run(self, work: Work[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Do a work for each item; yield the results in any order, as soon as they are there.

        A work has to be finished before the next one is begun.

        Raises:
            KndbError: the work cannot be done, or the workers died.
        """


class Here:
    """Runs a model in this process."""

    workers: Mapping[str, int] = {}

    def __init__(self, model: LanguageModel[Any]) -> None:
        self.info = model.info
        self.adapter = model.adapter
        self.model = model

    def run(self, work: Work[ItemT, ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Do a work, as ``Engine`` says; yield each result when it is there."""
        return iter(work.results(self.model, items))


class OnDemand:
    """One engine for several works, for a block: started when it is first asked for.

    Args:
        request: says what model runs, and where.
    """

    def __init__(self, request: Placed) -> None:
        self._request = request
        self._running = ExitStack()
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """The engine; started if none runs.

        Raises:
            KndbError: as :func:`started`.
        """
        if self._engine is None:
            self._engine = self._running.enter_context(started(self._request))
        return self._engine

    def stop(self) -> None:
        """Stop the engine, if one runs: after an error, workers may still do what is not wanted."""
        self._engine = None
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def started(request: Placed, running: Engine | None = None) -> AbstractContextManager[Engine]:
    """The engine that a request asks for, stopped when the block ends.

    Args:
        request: says what model runs, and where.
        running: an engine that does so already, and is left running; None to start one.

    Raises:
        ModelError: the model cannot be loaded, or is another one on the cluster.
        UsageError: this machine lacks a device, or the cluster cannot be used.
        KndbError: the workers died.
    """
    if running is not None:
        return nullcontext(running)
    if request.cluster is None:
        return _on_this_machine(request)
    for setting, value in RAY_SETTINGS.items():
        os.environ.setdefault(setting, value)
    # Here, because Ray is an extra, and reads its settings when it is imported.
    from kndb.crew.ray_engine import on_ray

    return on_ray(request.model, request.cluster)


def _on_this_machine(request: Placed) -> AbstractContextManager[Engine]:
    # Here, because it imports this machine's devices with torch.
    from kndb.crew.processes import devices_of, in_processes

    devices = devices_of(request.devices)
    if len(devices) > 1:
        return in_processes(request.model, devices)
    choice = replace(request.model, device=devices[0]) if devices else request.model
    return nullcontext(Here(choice.load()))
