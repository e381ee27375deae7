"""Ctrl-C during a query."""

import signal
import subprocess
import sys
import time

from pausing import READY, wait_for

ASKING = """
import subprocess, sys
from pathlib import Path
start = subprocess.Popen
def marked(*args, **options):
    child = start(*args, **options)
    Path({mark!r}).touch()
    return child
subprocess.Popen = marked
from kndb_cli.main import main
sys.exit(main())
"""
ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range % 7 = 3"


def test_an_interrupt_says_so_and_exits_130(database, tmp_path):
    mark = tmp_path / "the-query-has-its-process"
    code = ASKING.format(mark=str(mark))
    args = [sys.executable, "-c", code, "sql", ENDLESS, "--db", str(database)]
    started = subprocess.Popen(args, stderr=subprocess.PIPE)
    try:
        wait_for(mark, started)
        time.sleep(0.5)  # the query usually runs by then; if not, the outcome is the same
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=READY)
    finally:
        started.kill()
    assert started.returncode == 130
    assert err == b"Interrupted.\n"
