"""The request for a batch of edits, and its summary. Edits nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kndb.edit.intervention import EditOutcome
from kndb.edit.plan import EditSettings
from kndb.edit.scores import ON_WEIGHTS
from kndb.errors import UsageError
from kndb.models import ModelChoice
from kndb.models.devices import SPREAD


@dataclass(frozen=True)
class Job:
    """One edit to make: a fact in words, its relation if that is needed, and the settings."""

    fact: str
    settings: EditSettings
    relation: str | None = None


@dataclass(frozen=True)
class EditRequest:
    """Where to edit, and with what.

    Attributes:
        database: the database's path.
        model: which model, and how it is loaded.
        run: a run's id or its first digits; the model's newest finished run when None.
        dry_run: measure, and store nothing.
    """

    database: Path
    model: ModelChoice
    run: str | None = None
    dry_run: bool = False


def check_device(model: ModelChoice, settings: EditSettings) -> None:
    """Refuse to change weights that no single device has, before they are loaded.

    Raises:
        UsageError: the mode needs a single device, and the model is to be spread.
    """
    if model.device == SPREAD and settings.mode in ON_WEIGHTS:
        raise UsageError(
            f"The mode {settings.mode} changes weights, which cannot be done with --device spread; "
            "give a single device, such as auto, or the mode suppress or enhance."
        )


@dataclass
class EditSummary:
    """A batch in figures; its size does not grow with what was measured.

    Attributes:
        run_id: the run.
        model: the model's name.
        edit_ids: all requested edits that are now in the ledger, or were measured.
        made: edits made by this call.
        known: edits already in the ledger.
        skipped: number of edits that could not be made, by reason.
        measured: in a dry run, the ledger's row for each edit.
        last: the last edit made.
        seconds: time taken by this call.
    """

    run_id: int
    model: str
    edit_ids: list[int] = field(default_factory=list)
    made: int = 0
    known: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    measured: list[dict[str, Any]] = field(default_factory=list)
    last: EditOutcome | None = None
    seconds: float = 0.0
