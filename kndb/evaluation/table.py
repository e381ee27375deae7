"""What an evaluation hands over: a table, with what it shows and the settings that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ALL = "all"
"""In place of a relation or language: all of them together."""


@dataclass(frozen=True)
class Table:
    """A table of figures, for the terminal, a file or a report.

    Attributes:
        name: what its files are called: ``localisation``.
        title: one line that says what it shows.
        columns: their names; the ends of an interval of ``x`` are ``x_low`` and ``x_high``.
        rows: one value for each column; None or nan where there is none.
        settings: everything needed to make it again: model, run, sample, seed, thresholds.
        notes: sentences that a reader has to know before believing a figure.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
