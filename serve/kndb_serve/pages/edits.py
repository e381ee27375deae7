"""The ledger of edits, and one edit before and after."""

from __future__ import annotations

from kndb.store.edits import Ledger
from kndb.store.result import Result
from kndb_serve.page import Page, Table
from kndb_serve.view import View

_FACTS = ("mode", "selection", "lang", "target", "strength", "n_neurons", "status", "model")
_SHARES = ("reliability", "generality", "transfer", "locality", "harmonic", "control_harmonic")


def edits(view: View) -> Page:
    """Every edit, the newest last."""
    ledger = view.remember("edits", view.db.edits)
    table = Table("edits", "Edits", ledger, empty="No fact has been edited; `kndb edit` does.")
    return Page("Edits", "ledger", [table])


def edit(view: View, key: str) -> Page:
    """One edit: how well it did, and each prompt before and after.

    Raises:
        NotFound: there is none whose id begins so.
        UsageError: there are several.
    """
    ledger = Ledger(view.db.path, wait=10.0)
    edit_id = ledger.find(key).edit_id
    (row,) = ledger.list([edit_id]).to_dicts()
    about = {name: row[name] for name in _FACTS if row[name] is not None}
    shares = Result(
        ("measure", "share"),
        ("VARCHAR", "DOUBLE"),
        [(name.replace("_", " "), row[name]) for name in _SHARES],
    )
    parts = [
        Table("prompts", "Before and after", ledger.show(edit_id), empty=row["reason"] or ""),
        Table("measures", "How well it did", shares, bars=("share",)),
    ]
    return Page(
        f"{row['subject'] or row['fact_key']}: {row['mode']}",
        "edit",
        parts,
        row["reason"] or "",
        about,
    )
