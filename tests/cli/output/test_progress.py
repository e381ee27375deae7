"""The progress bar in a real pseudo-terminal: it shows no rate before there is one."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from kndb_cli.output import progress
from kndb_cli.output.progress import rate, reporting


def screen(code: str) -> str:
    """What the code writes to its terminal, standard error, with escapes left out."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    program = f"import sys, time\nfrom kndb_cli.output.progress import reporting\n{code}"
    child = subprocess.Popen([sys.executable, "-c", program], stderr=theirs, env=env)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:  # the terminal was closed at the other end
        pass
    finally:
        os.close(ours)
    assert child.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())


@pytest.mark.parametrize(
    "body",
    [
        "report(0, 216); time.sleep(0.5); report(216, 216)",  # a single report of work
        "report(216, 216)",  # nothing was to do
        "report(0, 216); time.sleep(0.5)",  # nothing was done
    ],
)
def test_a_rate_that_is_not_known_is_not_said(body: str) -> None:
    shown = screen(f"with reporting('demo', 'claims', False) as report:\n    {body}")
    assert "/216" in shown
    assert "claims/s" not in shown
    assert "--:--" not in shown


def test_a_rate_that_is_known_is_said() -> None:
    shown = screen(
        "with reporting('demo', 'claims', False) as report:\n"
        "    begin = time.monotonic()\n"
        "    for done in range(12):\n"
        "        report(done, 11); time.sleep(0.1)\n"
        "    seconds = time.monotonic() - begin\n"
        "sys.stderr.write(f'in {seconds:.3f} s')"
    )
    assert "11/11" in shown
    (seconds,) = re.findall(r"in ([\d.]+) s", shown)
    said = float(re.findall(r"([\d.]+) claims/s", shown)[-1])
    assert said == pytest.approx(11 / float(seconds), rel=0.5)
    assert " 0.0 claims/s" not in shown


def test_slow_rates_have_digits() -> None:
    assert rate(0.0312, "facts") == "32.1 s/fact"
    assert rate(12.345, "facts") == "12.3 facts/s"
    assert rate(None, "facts") == ""


def test_a_line_before_the_first_item_has_no_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    with reporting("demo", "claims", quiet=False) as report:
        report(0, 2)
        report(1, 2)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "demo: 0 of 2 claims"
    assert second.startswith("demo: 1 of 2 claims, ")
