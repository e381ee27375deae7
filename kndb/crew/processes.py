"""Runs a model in several processes of this machine, one for each device. Writes no database.

Every process loads the model once, and does parts of works with it. One that dies is replaced by a
new one on the same device.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from typing import Any

import torch

from kndb.crew.crewed import Crewed, Loaded
from kndb.crew.scheduling import Died, Done, Ready
from kndb.crew.work import Part
from kndb.errors import KndbError
from kndb.models import ModelChoice


def devices_of(names: Sequence[str]) -> list[str]:
    """Devices by the names that users give: ``0`` is ``cuda:0``, ``auto`` all GPUs.

    >>> devices_of(["0", "cuda:1", "cpu"])
    ['cuda:0', 'cuda:1', 'cpu']
    """
    if [*names] == ["auto"]:
        gpus = torch.cuda.device_count()
        return [f"cuda:{number}" for number in range(gpus)] or ["cpu"]
    return [f"cuda:{name}" if name.isdecimal() else name for name in names]


@dataclass
class _Worker:
    device: str
    process: BaseProcess
    pipe: Connection
    sender: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    """Sends in the background: a worker reads only when it is idle, and may be sending itself."""

    def send(self, message: object) -> Future[None]:
        return self.sender.submit(self.pipe.send, message)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()
        self.sender.shutdown(cancel_futures=True)


class Processes:
    """The pool of a crew (``crewed.ModelPool``): a process for each device."""

    def __init__(self, choice: ModelChoice, devices: Sequence[str]) -> None:
        self.loaded: dict[int, Loaded] = {}
        self.done = Counter[str]()
        self._choice = choice
        self._free = deque(devices)
        self._threads = max(1, (os.cpu_count() or 1) // len(devices))
        self._workers: dict[int, _Worker] = {}
        self._context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork

    def start(self, worker: int) -> None:
        """Start a process on a device that has none; it loads the model."""
        device = self._free.popleft()
        ours, theirs = self._context.Pipe()
        choice = replace(self._choice, device=device)
        arguments = theirs, choice, self._threads
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        with _deaf_to_ctrl_c():
            process.start()
        theirs.close()
        self._workers[worker] = _Worker(device, process, ours)

    def give(self, worker: int, number: int, part: Part[Any, Any]) -> None:
        """Send a part to a process; if it has died, ``wait`` says so."""
        self._workers[worker].send((number, part))

    def wait(self) -> Ready | Done | Died:
        """The first message, or the first death."""
        by_pipe = {each.pipe: number for number, each in self._workers.items()}
        pipe: Any = wait(list(by_pipe))[0]
        worker = by_pipe[pipe]
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return self._died(worker)
        if isinstance(message, KndbError):
            raise message
        if isinstance(message, Loaded):
            self.loaded[worker] = message
            return Ready(worker)
        number, results = message
        self.done[self.loaded[worker].name] += len(results)
        return Done(worker, number, results)

    def _died(self, worker: int) -> Died:
        gone = self._workers.pop(worker)
        gone.process.join()
        code = gone.process.exitcode
        gone.close()
        self._free.append(gone.device)
        ended = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return Died(worker, f"The process on {gone.device} was lost ({ended})")

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.close()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started meanwhile gets no Ctrl-C, from its first moment on: this process gets it."""
    if sys.platform == "win32":
        yield
        return
    ensure_running()  # else the start does it, and lets signals through afterwards
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """End at once when the process that started this one is gone, in the middle of a part too."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work(pipe: Connection, choice: ModelChoice, threads: int) -> None:
    """What a process does: load the model, and run parts until nobody sends any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where there are no masks
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if choice.device == "cpu":
        torch.set_num_threads(threads)
    try:
        model = choice.load()
        pipe.send(Loaded(choice.device, model.info, model.adapter))
        while True:
            number, part = pipe.recv()
            pipe.send((number, part.results(model)))
    except (EOFError, ConnectionError):  # the other end is gone
        return
    except KndbError as error:
        pipe.send(error)


@contextmanager
def in_processes(choice: ModelChoice, devices: Sequence[str]) -> Iterator[Crewed]:
    """An engine in processes, with one ready at least.

    Raises:
        ModelError: the model cannot be loaded.
        UsageError: this machine lacks a device.
        KndbError: the processes died.
    """
    pool = Processes(choice, devices)
    try:
        yield Crewed(pool, len(devices))
    finally:
        pool.close()
