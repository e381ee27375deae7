"""What runs the model over prompts: this process, several, or the workers of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol

from kndb.attribution import Settings
from kndb.facts import Prompt
from kndb.models import LanguageModel
from kndb.models.base import ModelInfo
from kndb_ingest.outcomes import find_outcomes
from kndb_ingest.request import IngestRequest
from kndb_ingest.rows import Rows

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
        workers: prompts handled so far, by the worker's name; none in this process.
    """

    @property
    def info(self) -> ModelInfo: ...  # noqa: D102

    @property
    def adapter(self) -> str: ...  # noqa: D102

    @property
    def workers(self) -> Mapping[str, int]: ...  # noqa: D102

    def rows(self, prompts: Mapping[int, Prompt], settings: Settings) -> Iterator[Rows]:
        """Run prompts, given by their ids; yield their rows, some prompts' at a time.

        Raises:
            UsageError: this model cannot be run with these settings.
            ModelError: a single prompt does not fit in memory.
            KndbError: the workers died.
        """


class Here:
    """Runs a model in this process."""

    workers: Mapping[str, int] = {}

    def __init__(self, model: LanguageModel[Any], request: IngestRequest) -> None:
        self.info = model.info
        self.adapter = model.adapter
        self.model = model
        self._request = request

    def rows(self, prompts: Mapping[int, Prompt], settings: Settings) -> Iterator[Rows]:
        """Run prompts, as ``Engine`` says; yield each one's rows."""
        asked = self._request
        found = find_outcomes(
            self.model, prompts, settings, asked.model.memory, asked.known, words=asked.words
        )
        return (Rows.of([outcome], every_score=asked.every_score) for outcome in found)


def started(request: IngestRequest) -> AbstractContextManager[Engine]:
    """The engine that a request asks for, stopped when the block ends.

    Raises:
        ModelError: the model cannot be loaded.
        UsageError: the cluster cannot be used.
        KndbError: the workers died.
    """
    if request.cluster is None:
        return _on_this_machine(request)
    for setting, value in RAY_SETTINGS.items():
        os.environ.setdefault(setting, value)
    # Here, because Ray is an extra, and reads its settings when it is imported.
    from kndb_ingest.ray_engine import on_ray

    return on_ray(request, request.cluster)


def _on_this_machine(request: IngestRequest) -> AbstractContextManager[Engine]:
    # Here, because it imports this machine's devices with torch.
    from kndb_ingest.processes import devices_of, in_processes

    devices = devices_of(request.devices)
    if len(devices) > 1:
        return in_processes(request, devices)
    choice = replace(request.model, device=devices[0]) if devices else request.model
    return nullcontext(Here(choice.load(), request))
