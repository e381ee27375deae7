"""Each promise of the documentation names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
PROMISES = [line for line in PAGE.splitlines() if line.startswith("| ") and "promise" not in line]


def test_every_promise_has_a_test() -> None:
    promises = [line for line in PROMISES if not line.startswith("| ---")]
    assert len(promises) > 15
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)`", promise)
        assert named, promise
        for name in named:
            assert "\ndef test_" in (ROOT / name).read_text(encoding="utf-8"), name
