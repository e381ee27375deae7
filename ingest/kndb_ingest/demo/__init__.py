"""The embedded demo: a small multilingual fact set, and two small models trained on it.

This module knows where the files lie. How they were made is in ``build_facts`` and ``train``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

Family = Literal["masked", "causal"]

_HERE = Path(__file__).parent


def facts_path() -> Path:
    """The demo facts, one prompt a line, in kndb's own form."""
    return _HERE / "demo.jsonl"


def model_path(family: Family) -> Path:
    """The folder of the masked or of the causal demo model."""
    return _HERE / "models" / f"demo-{family}"


MODELS = {f"demo-{family}": model_path(family) for family in get_args(Family)}
"""The demo models by the names people use."""
