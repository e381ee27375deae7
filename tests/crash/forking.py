"""Commands of kndb, each in a process that is killed at a chosen moment.

Run as a program, this imports kndb and torch once and forks for every command, which takes a
hundredth of the time. It is the process that is killed; nobody cleans up after it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any

CHECKPOINT = ("before_header", "after_free_list_write", "before_truncate")
"""Where a checkpoint can stop: values of DuckDB's setting ``debug_checkpoint_abort``."""
MOMENTS = ("statement", "commit", "log", *CHECKPOINT)
"""Before a statement, before a commit, after it while the log is there, and in the checkpoint."""

SLOW = (
    *("alembic.command", "duckdb_sqlalchemy", "pyarrow.dataset"),
    "transformers.models.bert.modeling_bert",
)
"""Modules that commands import only when they need them."""

Moment = tuple[str, int]
"""One of ``MOMENTS``, and its number, from 1."""


@dataclass(frozen=True)
class Kill:
    """When to kill a command; never if all are None.

    Attributes:
        moment: when it gets there.
        seconds: so long after its start.
        log: when the log of the database is there for this time, counted from 1.
        later: seconds after that.
    """

    moment: Moment | None = None
    seconds: float | None = None
    log: int | None = None
    later: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        killed: whether by SIGKILL.
        code: its exit code otherwise.
        seconds: how long it ran.
        counts: how often it got to each of ``MOMENTS``; known if it was not killed.
        output: what it printed.
    """

    killed: bool
    code: int
    seconds: float
    output: str
    counts: dict[str, int] = field(default_factory=dict)


class Commands:
    """Runs commands of kndb in a folder, in forks of one process that is ready for them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, folder: Path, args: Sequence[str], kill: Kill | None = None) -> Ended:
        """Run a command on the folder's database ``k.duckdb``."""
        asked = {"folder": str(folder), "args": args, "kill": asdict(kill or Kill())}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@contextmanager
def commands() -> Iterator[Commands]:
    """A process that runs commands until the block ends."""
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield Commands(process)


class Watched:
    """A connection that writes: it counts the moments, and kills its process at one of them."""

    def __init__(self, connection: Any, counts: dict[str, int], moment: Moment | None) -> None:
        self._connection = connection
        self._counts = counts
        self._moment = moment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _reach(self, moment: str) -> bool:
        self._counts[moment] += 1
        return self._moment == (moment, self._counts[moment])

    def execute(self, *args: Any) -> Any:
        if self._reach("statement"):
            die()
        return self._connection.execute(*args)

    def commit(self) -> None:
        if self._reach("commit"):
            die()
        self._connection.commit()
        if self._reach("log"):
            die()

    def close(self) -> None:
        for moment in CHECKPOINT:
            if self._reach(moment):
                self._stop_in_checkpoint(moment)
        self._connection.close()

    def _stop_in_checkpoint(self, moment: str) -> None:
        import duckdb

        self._connection.execute(f"SET debug_checkpoint_abort = '{moment}'")
        with suppress(duckdb.FatalException):
            self._connection.execute("CHECKPOINT")  # does nothing if nothing has changed
        die()

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch(counts: dict[str, int], moment: Moment | None) -> None:
    """From now on, every connection that writes is watched."""
    import duckdb

    connect = duckdb.connect

    def watched(*args: Any, **options: Any) -> Any:
        connection = connect(*args, **options)
        writes = options.get("read_only") is False
        return Watched(connection, counts, moment) if writes else connection

    duckdb.connect = watched


def small_batches() -> None:
    from kndb.degenerate import search
    from kndb.edit import batch
    from kndb_ingest import pipeline

    pipeline.COMMIT_PROMPTS, search.COMMIT_FACTS, batch.PLANNED_TOGETHER = 3, 1, 1


def child(folder: str, args: Sequence[str], kill: Kill, out: IO[str]) -> None:
    """The process that runs a command, and does not return."""
    from kndb_cli.main import main

    os.chdir(folder)
    os.environ["KNDB_DB"] = "k.duckdb"
    for stream in (1, 2):
        os.dup2(out.fileno(), stream)
    counts = dict.fromkeys(MOMENTS, 0)
    watch(counts, kill.moment)
    code = main(list(args))
    sys.stdout.flush()
    sys.stderr.flush()
    report = {"counts": counts, "modules": list(sys.modules)}
    os.write(out.fileno(), f"\n{json.dumps(report)}".encode())
    os._exit(code)


def serve() -> None:
    """Run the commands that come in, one a line."""
    for module in SLOW:
        import_module(module)
    small_batches()
    for line in sys.stdin:
        asked = json.loads(line)
        kill = asked["kill"]
        kill["moment"] = kill["moment"] and tuple(kill["moment"])
        ended, modules = run(asked["folder"], asked["args"], Kill(**kill))
        print(json.dumps(asdict(ended)), flush=True)
        for module in modules:  # which the next fork then need not import
            with suppress(Exception):
                import_module(module)


def run(folder: str, args: Sequence[str], kill: Kill) -> tuple[Ended, list[str]]:
    """How a command ended, and which modules it has used, if it was not killed."""
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        pid = os.fork()
        if not pid:
            try:
                child(folder, args, kill, out)
            finally:
                os._exit(99)
        if kill.seconds is not None:
            time.sleep(kill.seconds)
            os.kill(pid, signal.SIGKILL)
        if kill.log is not None:
            kill_with_log(pid, Path(folder, "k.duckdb.wal"), kill)
        _, status = os.waitpid(pid, 0)
        seconds = time.monotonic() - started
        out.seek(0)
        printed, _, report = out.read().rpartition("\n")
    if os.WIFSIGNALED(status):
        return Ended(os.WTERMSIG(status) == signal.SIGKILL, 0, seconds, printed + report), []
    found = json.loads(report)
    ended = Ended(False, os.WEXITSTATUS(status), seconds, printed, found["counts"])
    return ended, found["modules"]


def kill_with_log(pid: int, log: Path, kill: Kill) -> None:
    """Kill a process when the log is there for the n-th time, unless it ends before."""
    seen, there = 0, False
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        was, there = there, log.exists()
        seen += there and not was
        if seen == kill.log:
            time.sleep(kill.later)
            os.kill(pid, signal.SIGKILL)
            return


if __name__ == "__main__":
    serve()
