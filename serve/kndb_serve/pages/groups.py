"""The drawing of degenerate groups that the pages of facts and neurons have."""

from __future__ import annotations

from functools import partial

from kndb.store.result import Result
from kndb_serve.charts.groups import drawable, group_drawing
from kndb_serve.page import Chart
from kndb_serve.view import View

_ABOUT = (
    "Neurons joined by pairs that stand in for each other; a line is wider where the answer drops "
    "further without both."
)


def drawn_groups(
    view: View, groups: Result, sets: Result, marked: str = "", data: str = "degenerate"
) -> list[Chart]:
    """The drawing, or nothing where there is no group to draw.

    Args:
        view: the request.
        groups: rows of ``Database.groups`` by fact.
        sets: rows of ``Database.degenerate`` about the same facts.
        marked: a neuron to set off.
        data: the name of the table beside it.
    """
    shown = drawable(groups)
    if not shown:
        return []
    left_out = len(groups) - len(shown)
    about = f"{_ABOUT} {left_out:,} more are not drawn." if left_out else _ABOUT
    draw = partial(group_drawing, shown, sets, {"run": view.asked.text("run")}, marked)
    return [Chart("Degenerate groups", draw, about, data, half=True)]
