"""An engine for several works: started when it is needed, once, and stopped whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from kndb.crew.engines import OnDemand
from kndb.evaluation.factcheck import EvaluationRequest
from kndb.models import ModelChoice

TWO = EvaluationRequest(Path("k.duckdb"), ModelChoice("none"), devices=("cpu", "cpu"))


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened to the processes; none are started."""
    events: list[str] = []

    @contextmanager
    def in_processes(choice: ModelChoice, devices: Sequence[str]) -> Iterator[str]:
        events.append(f"started {len(devices)}")
        try:
            yield "an engine"
        finally:
            events.append("stopped")

    monkeypatch.setattr("kndb.crew.processes.in_processes", in_processes)
    return events


def test_an_engine_is_started_once_for_all_works(happened: list[str]) -> None:
    with OnDemand(TWO) as model:
        assert happened == []
        assert {str(model.engine()) for _ in range(3)} == {"an engine"}
        assert happened == ["started 2"]
    assert happened == ["started 2", "stopped"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_engine_is_stopped_by_an_error(happened: list[str], error: type[BaseException]) -> None:
    def interrupted() -> None:
        with OnDemand(TWO) as model:
            model.engine()
            raise error

    with pytest.raises(error):
        interrupted()
    assert happened == ["started 2", "stopped"]


def test_an_engine_that_was_stopped_is_started_again(happened: list[str]) -> None:
    with OnDemand(TWO) as model:
        model.engine()
        model.stop()
        model.stop()
        model.engine()
    assert happened == ["started 2", "stopped"] * 2


def test_an_engine_that_nobody_needs_is_not_started(happened: list[str]) -> None:
    with OnDemand(TWO):
        pass
    assert happened == []
