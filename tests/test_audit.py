"""What ``.ci/audit`` makes of pip-audit's report, and that every pinned package has its hashes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci/audit_report.py"
SOUND = {"name": "a", "version": "1", "vulns": []}
FOUND = {"name": "b", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        (None, 0, "Packages were not audited: no data about them can be reached.\n"),
        ([UNKNOWN], 0, "Packages were not audited: no data about them can be reached.\n"),
        ([SOUND, UNKNOWN], 0, "Audited 1 of 2 packages; of the others nothing is known.\n"),
        ([SOUND, FOUND], 1, "Audited 2 of 2 packages.\nb 2: X-1, mended in 2.1\n"),
    ],
)
def test_the_report(packages: object, code: int, said: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    if packages is not None:
        report.write_text(json.dumps({"dependencies": packages}))
    done = subprocess.run([sys.executable, SCRIPT, report], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, said)


def test_every_pinned_package_but_torch_has_hashes() -> None:
    pinned = (ROOT / "constraints.txt").read_text().split()
    hashed = re.findall(
        r"^(\S+==\S+) \\\n    --hash", (ROOT / "hashes.txt").read_text(), re.MULTILINE
    )
    assert {_name(line) for line in pinned} - {_name(line) for line in hashed} == {"torch==2-13-0"}


def _name(line: str) -> str:
    return re.sub("[-_.]+", "-", line.lower())
