"""For all tests: one thread by default, Ctrl-C works, and the width of tables is not set."""

import gc
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# The models here are too small to gain from threads. Before torch is imported, for children too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that runs the tests in the background leaves it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("COLUMNS", None)


def pytest_configure(config: pytest.Config) -> None:
    """Properties are tried with a few inputs, and with many where long tests run too."""
    chosen = str(config.getoption("markexpr"))
    many = chosen in ("long", "long or not long", "not real and not browser")  # make test-long
    settings.register_profile(
        "kndb",
        max_examples=2_000 if many else 30,
        deadline=None,  # the machine may be busy
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    settings.load_profile("kndb")


def pytest_collection_finish() -> None:
    """What was imported lives as long as the tests: nobody need look through it for garbage."""
    gc.collect()
    gc.freeze()
