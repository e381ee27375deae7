"""The evaluation of the fact check as a table, with notes for its reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kndb.evaluation.factcheck import MethodFigures, as_columns
from kndb.evaluation.table import Table

NAME = "factcheck"
TITLE = "The fact check on facts it was not calibrated on"
NOTES = (
    "Every method judges the same claims: each prompt of a test fact with its own answer, and with "
    "wrong ones of the same relation. True claims are the positives.",
    "Thresholds were chosen on validation facts and neurons on training facts, never on test "
    "facts. AUROC compares claims of one relation and language only.",
    "Answered is the share of claims that are not too close to the threshold to call; the other "
    "figures judge all claims. Intervals hold 95 % of the bootstrap draws of facts.",
)


def as_table(rows: Sequence[MethodFigures], settings: Mapping[str, Any]) -> Table:
    """The rows with title, settings and notes."""
    columns, values = as_columns(rows)
    return Table(NAME, TITLE, columns, values, settings, NOTES)
