"""The example for a cluster, run by two processes at the same time."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from saved_models import saved

PAGE = Path(__file__).parents[2] / "docs/own-data.md"
FACTS = """{"relation": "P36", "subject_id": "%s", "object_id": "%s", "lang": "en",
 "template": "The capital of [X] is [Y] .", "subject": "%s", "answer": "%s"}"""


@pytest.mark.long
def test_the_page_says_how(tmp_path: Path) -> None:
    each, together = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    for old, new in (("bert-base-multilingual-cased", "model"), ("mpararel", "facts.jsonl")):
        assert old in each
        each = each.replace(old, new)
    (tmp_path / "model").symlink_to(saved("tiny-bert"))
    pairs = [("France", "Paris"), ("Japan", "Tokyo"), ("Spain", "euro"), ("Germany", "Paris")]
    lines = (FACTS.replace("\n", "") % (x, y, x, y) for x, y in pairs)
    (tmp_path / "facts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    kndb = tmp_path / "bin" / "kndb"
    kndb.parent.mkdir()
    program = "import sys; from kndb_cli.main import main; sys.exit(main())"
    kndb.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$@"\n')
    kndb.chmod(kndb.stat().st_mode | stat.S_IXUSR)
    search = f"{kndb.parent}:{os.environ['PATH']}"
    started = [
        subprocess.Popen(
            ["bash", "-c", each.replace("ID/8", "ID/2")],
            cwd=tmp_path,
            env={**os.environ, "PATH": search, "SLURM_ARRAY_TASK_ID": str(number)},
        )
        for number in (1, 2)
    ]
    assert [process.wait(300) for process in started] == [0, 0]
    done = subprocess.run(
        ["bash", "-c", together],
        cwd=tmp_path,
        env={**os.environ, "PATH": search},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 prompts" in done.stderr
    assert "lacks" not in done.stderr
