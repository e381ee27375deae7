"""For all tests: one thread by default, Ctrl-C works, the width of tables is not set, and new
databases are copies of one.
"""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
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


@pytest.fixture(scope="session", autouse=True)
def one_migration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In this process, new databases are copies of one that has been migrated.

    That takes 0.4 s, and hundreds of tests need one. Those of migrations call them, and commands in
    processes of their own migrate.
    """
    from kndb.store import database

    empty = tmp_path_factory.mktemp("empty") / "empty.duckdb"
    database.connect(empty, write=True, create=True).close()
    content, connect_writer = empty.read_bytes(), database._connect_writer

    def copied(path: Path, create: bool, wait: float) -> duckdb.DuckDBPyConnection:
        if create and not path.exists():
            try:
                with path.open("xb") as new:
                    new.write(content)
            except FileExistsError:  # another thread was faster
                pass
            except OSError:  # a full disk, or no such folder: kndb itself is to say so
                path.unlink(missing_ok=True)
        return connect_writer(path, create, wait)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_connect_writer", copied)
        yield


def pytest_collection_finish() -> None:
    """What was imported lives as long as the tests: nobody need look through it for garbage."""
    gc.collect()
    gc.freeze()
