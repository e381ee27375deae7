"""The style that all pictures share: colours, fonts and headings.

The colours suit colour-blind readers: the palette of Okabe and Ito (2008) and the colour map
viridis. No data is drawn here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kndb.plotting.fonts import TITLE_FAMILY, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The colours of Okabe and Ito, starting with those that differ most."""

GREY = "#666666"


def style() -> Any:
    """A context manager for drawing in kndb's style."""
    from matplotlib import rc_context  # Optional dependency: the extra ``plot``.

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
    """Write a title and, below it in grey, a subtitle."""
    # The title is always English, so it can use a font with a bold face; many scripts lack one.
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
    """The first ``n`` colours of the palette, or of a blue-to-yellow map if ``n > most``."""
    if n <= most:
        return list(PALETTE[:n])
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.95, n)))
