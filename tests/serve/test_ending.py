"""Ctrl-C ends a server within moments, whatever it is answering."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from kndb.errors import KndbError
from kndb.query import Database
from kndb.store.sandbox import Ended
from kndb_serve.reader import Reader
from small_store import finished_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

LIMIT = 8.0
"""Seconds for the end, on a slow machine; less than a query may take."""

SERVER = """
import asyncio, signal, sys
from pathlib import Path
from kndb.query import Database
from kndb_serve.server import serve

signal.signal(signal.SIGINT, signal.default_int_handler)

def endless(database, *args, **kwargs):
    print("counting", flush=True)
    return database.sql("SELECT count(*) FROM range(1000000000000)")

def ready(address):
    asyncio.get_running_loop()  # it runs already, so that Ctrl-C from now on ends it in good order
    print(address, flush=True)

if {slow}:
    Database.most_shared = endless
try:
    serve(Path({path!r}), port=0, ready=ready)
except KeyboardInterrupt:
    pass
"""
COUNT = "SELECT count(*) FROM range(1000000000000)"
ENDLESS = "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000)) FROM range(1000)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "k.duckdb"
    finished_run(made)
    return made


@contextmanager
def running(path: Path, slow: bool = False) -> Iterator[tuple[subprocess.Popen[str], str]]:
    script = SERVER.format(path=str(path), slow=slow)
    server = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().strip()
        finally:
            server.kill()


def test_while_it_counts_at_its_start(path: Path) -> None:
    with running(path, slow=True) as (server, _):
        assert server.stdout is not None
        assert server.stdout.readline() == "counting\n"
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=LIMIT)
    assert server.returncode == 0
    assert said == ""


@pytest.mark.parametrize("form", ["", ".json"])
def test_while_a_query_runs(path: Path, form: str) -> None:
    with running(path) as (server, address):
        asked = http.client.HTTPConnection(urlsplit(address).netloc)
        asked.request("GET", f"/sql{form}?q={quote(ENDLESS)}")
        # A second request is answered: so the first has arrived.
        other = http.client.HTTPConnection(urlsplit(address).netloc)
        other.request("GET", "/facts.json")
        assert other.getresponse().status == 200
        server.send_signal(signal.SIGINT)
        answer = asked.getresponse()
        assert answer.status == 503
        assert b"told to end" in answer.read()
        asked.close()
        other.close()
        _, said = server.communicate(timeout=LIMIT)
    assert server.returncode == 0
    assert said == ""


def ask_connection(database: Database) -> None:
    """As what reads a little does, which leaves DuckDB's error as it is."""
    database._connection.execute(COUNT).fetchall()


@pytest.mark.parametrize("count", [lambda database: database.sql(COUNT), ask_connection])
def test_the_reader_interrupts_what_it_lent(
    count: Callable[[Database], object], path: Path
) -> None:
    reader = Reader(path)
    begun = threading.Event()
    ended: list[KndbError] = []

    def ask() -> None:
        try:
            with reader.lend() as database:
                begun.set()
                count(database)
        except KndbError as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(60)
    reader.close()
    asking.join(60)
    assert [type(error) for error in ended] == [Ended]
    with pytest.raises(Ended, match="kndb serve"), reader.lend():
        pass
