"""What charts are put together from: rows of dots with intervals, and matrices. Knows no table.

matplotlib is an extra: it is imported only where something is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kndb.plotting.style import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.0  # inches
MOST_ROWS = 40  # more cannot be told apart
_COLOURS = 32  # of a colour bar; matplotlib makes an image of 50 and more

Row = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """Estimates of one kind: a value and the ends of its interval for each label."""

    name: str
    values: Sequence[tuple[float, float, float]]


def series_of(name: str, rows: Sequence[Row], column: str) -> Series:
    """The estimates of a column."""
    return Series(name, [estimate(row, column) for row in rows])


def estimate(row: Row, column: str) -> tuple[float, float, float]:
    """A value and the ends of its interval; nan where there is none."""
    value, low, high = (
        math.nan if (x := row.get(f"{column}{end}")) is None else float(x)
        for end in ("", "_low", "_high")
    )
    return value, low, high


def dots(axes: Axes, labels: Sequence[str], series: Sequence[Series], unit: str) -> bool:
    """A row of dots with their intervals for each label; False where there is no value."""
    step = 0.6 / len(series)
    for place, one in enumerate(series):
        known = [
            (at + (place - (len(series) - 1) / 2) * step, *values)
            for at, values in enumerate(one.values)
            if not math.isnan(values[0])
        ]
        for y, _, low, high in known:
            if not math.isnan(low + high):
                axes.plot([low, high], [y, y], color=theme().palette[place], linewidth=2, alpha=0.5)
        xs, ys = [x for _, x, _, _ in known], [y for y, *_ in known]
        axes.plot(xs, ys, "o", color=theme().palette[place], markersize=6, label=one.name)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(unit)
    axes.grid(axis="x", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return any(not math.isnan(value) for one in series for value, _, _ in one.values)


def legend(figure: Figure, axes: Axes) -> None:
    """Names above the panels, where there is more than one."""
    handles, names = axes.get_legend_handles_labels()
    if len(names) > 1:
        figure.legend(handles, names, loc="outside upper left", ncols=len(names), frameon=False)


def dot_chart(figure: Figure, labels: Sequence[str], series: Sequence[Series], unit: str) -> bool:
    """One panel of :func:`dots`; False where there is nothing to draw, or too much."""
    if len(labels) > MOST_ROWS:
        return False
    figure.set_size_inches(WIDTH, 1.0 + 0.36 * len(labels) * max(1, 0.6 * len(series)))
    axes = figure.subplots()
    drawn = dots(axes, labels, series, unit)
    legend(figure, axes)
    return drawn


def matrix(figure: Figure, labels: Sequence[str], table: list[list[float | None]]) -> None:
    """Jaccard overlaps as coloured cells, with figures in them where they are few."""
    import numpy as np
    from matplotlib import colormaps

    values = np.array(table, dtype=float)
    axes = figure.subplots()
    highest = np.nanmax(values) if np.any(values > 0) else 1.0
    # Cells and few colours are drawn as shapes; an image would be one more file within the file.
    colours = colormaps["cividis"].resampled(_COLOURS)
    edges = theme().background
    cells = axes.pcolormesh(values, cmap=colours, vmin=0, vmax=highest, edgecolors=edges)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    middles = np.arange(len(labels)) + 0.5
    axes.set_xticks(middles, labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(middles, labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(~np.isnan(values)) if len(labels) <= 16 else ():
        value = values[row, column]
        colour = "black" if value > 0.45 * highest else "white"
        axes.text(column + 0.5, row + 0.5, f"{value:.3f}", ha="center", va="center", color=colour)
    figure.colorbar(cells, ax=axes, label="Jaccard", shrink=0.85)
