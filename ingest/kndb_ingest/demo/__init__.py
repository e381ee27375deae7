"""The embedded demo: a small multilingual fact set. Its two models are shipped in ``kndb.models``.

``build_facts`` and ``train`` show how the facts and the models were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Family = Literal["masked", "causal"]


def facts_path() -> Path:
    """The file with the demo facts: one prompt per line, in kndb's own format."""
    return Path(__file__).parent / "demo.jsonl"
