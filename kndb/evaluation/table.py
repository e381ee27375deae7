"""The result of an evaluation: a table, with its title, settings and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALL = "all"
"""Stands for all relations, or all languages, together."""


@dataclass(frozen=True)
class Table:
    """A table of figures, for the terminal, a file or a report.

    Attributes:
        name: the stem of its files' names, such as ``localisation``.
        title: a line that describes it.
        columns: the columns' names; the ends of an interval of ``x`` are ``x_low`` and ``x_high``.
        rows: one value for each column; None or nan if missing.
        settings: everything needed to reproduce it: model, run, sample, seed, thresholds.
        notes: sentences needed to read the figures correctly.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
