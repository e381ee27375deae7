"""Ctrl-C during a query."""

import signal
import subprocess

import pytest


def test_an_interrupt_says_so_and_exits_130(process):
    endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = 3"
    started = process.start("sql", endless)
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(timeout=1.5)
    started.send_signal(signal.SIGINT)
    try:
        _, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130
    assert err == b"Interrupted.\n"
