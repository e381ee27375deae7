"""Starts the processes in which queries run, for servers one ahead, and ends them."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from typing import TypeAlias

from kndb.errors import KndbError

Process: TypeAlias = "subprocess.Popen[bytes]"


def start() -> Process:
    """A process that waits for a query."""
    return subprocess.Popen(
        [sys.executable, "-m", "kndb.store.sandbox.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the parent, which ends the worker
    )


def end(worker: Process) -> None:
    """End it at once, whatever it does."""
    worker.kill()
    worker.wait()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


class Ended(KndbError):
    """What would answer has ended, or is about to."""


class Workers:
    """Keeps one started for the next query: the start takes longer than most answers.

    It may be used from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: Process | None = None
        self._taken: list[Process] = []
        self._ended = False

    def take(self) -> Process:
        """The one that waits, or a new one; another is started to wait.

        Raises:
            Ended: all were ended.
        """
        with self._lock:
            if self._ended:
                raise Ended("No query is answered any more: the server has ended.")
            taken = self._next if self._next and self._next.poll() is None else start()
            self._next = start()
            self._taken = [worker for worker in self._taken if worker.poll() is None]
            self._taken.append(taken)
            return taken

    def prepare(self) -> None:
        """Start the one for the first query."""
        with self._lock:
            if self._next is None and not self._ended:
                self._next = start()

    def end(self) -> None:
        """End all, and start no more. Who took one sees that it was told to end."""
        with self._lock:
            self._ended = True
            for worker in self._taken:
                worker.terminate()
            if self._next is not None:
                end(self._next)
