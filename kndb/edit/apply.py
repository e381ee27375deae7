"""Edits of the ledger put into saved models, and taken out of them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kndb.edit.deltas import Delta
from kndb.edit.saved_models import Record, save_with, save_without
from kndb.errors import ModelError, UsageError
from kndb.models import ModelChoice, load_model
from kndb.store.database import connect
from kndb.store.edits import Ledger, StoredDelta


def apply_edits(
    database: Path, asked: Sequence[str], model: str, out: Path, revision: str | None = None
) -> Record:
    """Save a model with edits of the ledger, in the given order.

    A file ``kndb_edits.json`` in the folder records the edits.

    Args:
        database: the ledger.
        asked: ids, or their first digits.
        model: a hub identifier, a folder, or a demo model.
        out: the new folder, which ``from_pretrained`` loads.
        revision: of the hub.

    Raises:
        NotFound: there is no such edit.
        UsageError: an edit changes no weights, is undone, or conflicts with another.
        ModelError: the model is not the one that an edit was made for.
    """
    edits = [Ledger(database).find(one) for one in asked]
    for edit_id, n in Counter(edit.edit_id for edit in edits).items():
        if n > 1:
            raise UsageError(f"The edit {edit_id} is named twice; name each once.")
    deltas = [(edit.edit_id, _delta(edit)) for edit in edits]
    for edit in edits:
        if edit.status != "active":
            raise UsageError(f"The edit {edit.edit_id} is {edit.status}; make it again first.")
    choice = ModelChoice(model, device="cpu", revision=revision)
    folder = choice.folder
    if folder is None:
        raise ModelError(
            f"Edits cannot be written to the GGUF file {model}; give a folder with safetensors."
        )
    return save_with(folder, choice.load(), deltas, out, _about(database, edits))


def _about(database: Path, edits: Sequence[StoredDelta]) -> dict[int, dict[str, str | None]]:
    """The ledger's record of these edits, by id."""
    with connect(database) as connection:
        rows = connection.execute(
            "SELECT edit_id, fact_key, mode, target FROM edits WHERE list_contains(?, edit_id)",
            [[edit.edit_id for edit in edits]],
        ).fetchall()
    return {row[0]: dict(zip(("fact_key", "mode", "target"), row[1:], strict=True)) for row in rows}


def undo_edit(database: Path, asked: str, model: Path | None, out: Path | None) -> int:
    """Mark an edit undone and, where a saved model is given, save it without the edit.

    Raises:
        NotFound: there is no such edit.
        UsageError: only one of ``model`` and ``out`` is given, a later edit is in the way, or
            nothing is left to undo.
        ModelError: the saved model does not hold the edit.
    """
    ledger = Ledger(database)
    edit = ledger.find(asked)
    if (model is None) != (out is None):
        raise UsageError("To undo an edit in a saved model, give both --model and --save.")
    if model is None and edit.status != "active":
        raise UsageError(f"The edit {edit.edit_id} is {edit.status}; there is nothing to undo.")
    if model is not None and out is not None:
        if not model.is_dir():
            raise ModelError(f"There is no folder {model}; give one that 'kndb edit apply' made.")
        save_without(model, load_model(model, device="cpu"), edit.edit_id, _delta(edit), out)
    ledger.undo(edit.edit_id)
    return edit.edit_id


def _delta(edit: StoredDelta) -> Delta:
    if edit.delta is None:
        what = "was skipped" if edit.status == "skipped" else f"is made at run time ({edit.mode})"
        raise UsageError(f"The edit {edit.edit_id} {what}, and changes no weights.")
    return Delta.from_bytes(edit.delta)
