"""Which process works on a run, so that a run whose process was killed is not shown as running.

A process is known by its number and its start, because numbers are used again; by the boot of its
machine; and by its container, as every container counts from 1. What cannot be known is not
claimed: a process of another machine is taken to be alive.
"""

from __future__ import annotations

import os
import platform
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

KEYS = {"run": "run_id", "degenerate_search": "search_id"}
"""The tables of work that a process does, and what identifies their rows."""

_UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Process:
    """A process; parts that the system does not tell are ``-``.

    Attributes:
        machine: hash of the machine's name and id.
        boot: hash of the id of the machine's last start.
        container: its namespace of process numbers.
        number: its process number.
        start: when it started, in the system's own unit.
    """

    machine: str
    boot: str
    container: str
    number: str
    start: str

    def __str__(self) -> str:
        return " ".join(astuple(self))


def this_process() -> str:
    """The process that asks, as text for the database."""
    number = str(os.getpid())
    return str(Process(*_here(), number, _start(number)))


def is_gone(text: str | None) -> bool:
    """Whether the process has certainly ended.

    >>> is_gone(this_process()), is_gone(None), is_gone("another machine's process 7 1")
    (False, False, False)
    """
    parts = (text or "").split()
    if len(parts) != 5:
        return False
    process, (machine, boot, container) = Process(*parts), _here()
    if process.machine != machine:
        return False
    if process.boot != boot:
        return True
    return process.container == container and _start(process.number) != process.start


@cache
def _here() -> tuple[str, str, str]:
    # Deferred: only work that goes on is asked for its process.
    from kndb.facts import content_id

    machine = content_id("machine", platform.node(), _read("/etc/machine-id"))
    boot = content_id("boot", _read("/proc/sys/kernel/random/boot_id"))
    try:
        container = os.readlink("/proc/self/ns/pid")
    except OSError:
        container = _UNKNOWN
    return str(machine), str(boot), container


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _start(number: str) -> str:
    """When a process started; empty if there is none, or if it is dead and not yet collected."""
    if not Path("/proc/self/stat").exists():
        return _UNKNOWN if _exists(number) else ""
    # The name, in brackets, may hold anything; the state and 19 fields on, the start, follow it.
    fields = _read(f"/proc/{number}/stat").rpartition(")")[2].split()
    return fields[19] if fields and fields[0] not in "ZX" else ""


def _exists(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
