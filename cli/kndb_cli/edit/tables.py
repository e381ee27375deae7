"""Tables of edits for a terminal: the columns that people need, which fit into 80 characters.

Files and pipes get every row and column; this draws tables only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from kndb_cli.edit.words import DISTANCES
from kndb_cli.output import Output, emit_newest, emit_summarised
from kndb_cli.output.rows import Listing, Rows
from kndb_cli.output.terminal import note

if TYPE_CHECKING:
    from rich.console import RenderableType

_NARROW = ("fact", "subject", "mode", "target", "harmonic", "status", "edit_id")
_ANSWER_WIDTH = 12  # longer answers are folded, to leave room for the prompts

_MEASURED = {
    "lang": "lang",
    "part": "part",
    "text": "text",
    "first_before": "before",
    "first_after": "after",
    "p_old_before": "p_old",
    "p_old_after": "p_old after",
    "p_new_after": "p_new after",
}
_LEDGER = {
    "fact_key": "fact",
    "subject": "subject",
    "mode": "mode",
    "target": "target",
    "n_neurons": "neurons",
    "harmonic": "harmonic",
    "status": "status",
    "edit_id": "edit_id",
}


def emit_measured(rows: Rows, summary: Mapping[str, Any], where: Output) -> None:
    """What an edit did to each prompt; a table leaves out other facts that did not change."""
    emit_summarised(rows, summary, where, _measured)
    hidden = len(rows.rows()) - len(_shown(rows))
    if where.format == "table" and hidden:
        note(
            f"{hidden} prompts of other facts did not change and are not shown; --format csv has "
            "all.",
            where.quiet,
        )


def emit_ledger(rows: Rows, where: Output) -> None:
    """Edits and how well they did; ``harmonic`` is the mean of their shares."""
    emit_newest(rows, where, _ledger)


def _measured(rows: Rows) -> RenderableType:
    """One line per prompt at any width: texts and answers are folded."""
    # Here, because only tables need it: saves the import of Rich, 0.05 s, in every pipe.
    from kndb.cells import is_numeric
    from kndb_cli.output.tables import by_column, column_cells, empty_table

    shown = _renamed(Listing(rows.columns, _shown(rows)), _MEASURED)
    table = empty_table()
    columns = []
    for name, values in zip(shown.columns, by_column(shown), strict=True):
        if name == "p_new after" and not is_numeric(values):
            continue
        fixed = name not in ("text", "before", "after")
        side: Literal["left", "right"] = "right" if name.startswith("p_") else "left"
        most = None if fixed or name == "text" else _ANSWER_WIDTH
        head = name.replace(" ", "\n")
        table.add_column(head, justify=side, no_wrap=fixed, overflow="fold", max_width=most)
        columns.append(column_cells(values))
    for cells in zip(*columns, strict=True):
        table.add_row(*cells)
    return table


def _ledger(rows: Rows) -> RenderableType:
    from kndb_cli.output.fitting import narrowing  # as above

    return narrowing(_renamed(rows, _LEDGER), _NARROW)


def _shown(rows: Rows) -> list[tuple[object, ...]]:
    part, changed = (list(rows.columns).index(name) for name in ("part", "changed"))
    return [row for row in rows.rows() if row[part] not in DISTANCES or row[changed]]


def _renamed(rows: Rows, names: dict[str, str]) -> Listing:
    columns = [name for name in names if name in rows.columns]
    places = [list(rows.columns).index(name) for name in columns]
    values = [tuple(row[place] for place in places) for row in rows.rows()]
    return Listing([names[name] for name in columns], values)
