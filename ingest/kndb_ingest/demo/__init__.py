"""The embedded demo: a small multilingual fact set. Its models are ``kndb.models``' own.

How the facts and the models were made is in ``build_facts`` and ``train``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Family = Literal["masked", "causal"]


def facts_path() -> Path:
    """The demo facts, one prompt a line, in kndb's own form."""
    return Path(__file__).parent / "demo.jsonl"
