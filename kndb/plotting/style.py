"""What the pictures have in common: colours, fonts, and what stands above them.

Colours are told apart by colour-blind people: the palette of Okabe and Ito (2008), and the map
viridis. It draws no data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kndb.plotting.fonts import TITLE_FAMILY, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""Okabe and Ito's colours, the ones that differ most first."""

GREY = "#666666"


def style() -> Any:
    """A context in which matplotlib draws in kndb's style."""
    from matplotlib import rc_context  # An extra of the distribution.

    return rc_context(
        {
            "font.family": families(),
            "font.size": 10,
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "kndb",
        }
    )


def heading(axes: Axes, text: str, about: str) -> None:
    """A title, and below it in grey what the picture is about."""
    # The title is always English; its font has a bold face, which those of many scripts lack.
    axes.set_title(f"{text}\n", pad=4, fontfamily=TITLE_FAMILY)
    axes.annotate(
        about,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 4),
        textcoords="offset points",
        color=GREY,
        va="bottom",
        fontsize=9,
    )


def ordered_colours(n: int, most: int) -> list[Any]:
    """The palette's first colours, or, for more than ``most``, a map from blue to yellow."""
    if n <= most:
        return list(PALETTE[:n])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.95, n)))
