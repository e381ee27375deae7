"""The style that all pictures share: colours, fonts and headings.

The colours suit colour-blind readers: the palette of Okabe and Ito (2008), lighter on a dark
background, and the colour map viridis. No data is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kndb.errors import NotFound, UsageError
from kndb.graph.selection import Selected
from kndb.plotting.fonts import TITLE_FAMILY, drawable, families, language_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The colours of Okabe and Ito, starting with those that differ most."""

ON_DARK = ("#5AAEE6", "#E69F00", "#1FBF92", "#D68BB4", "#A6DDF7", "#F08A3C", "#F0E442", "#EEEEEE")
"""The same, each with a contrast of at least 4.5 to 1 on the dark background."""


@dataclass(frozen=True)
class Theme:
    """The colours around the data.

    Attributes:
        background: of the picture.
        ink: of texts and axes.
        muted: of subtitles and lines that lead to labels.
        band: of every other layer in a map.
        grid: of grid lines.
        palette: of what is told apart by colour.
        colours: the part of the colour map that stands out from the background.
    """

    background: str
    ink: str
    muted: str
    band: str
    grid: str
    palette: tuple[str, ...]
    colours: tuple[float, float]


THEMES = {
    "light": Theme("white", "black", "#666666", "#f3f3f3", "#dddddd", PALETTE, (0.0, 0.95)),
    "dark": Theme("#16181d", "#eeeeee", "#a5a5a5", "#23262d", "#3a3d45", ON_DARK, (0.5, 1.0)),
}

_theme: ContextVar[Theme] = ContextVar("theme", default=THEMES["light"])


def theme() -> Theme:
    """The theme of the picture being drawn."""
    return _theme.get()


def check_theme(name: str) -> None:
    """Refuse an unknown theme.

    Raises:
        UsageError: there is no such theme.
    """
    if name not in THEMES:
        raise UsageError(f"There is no theme {name!r}; choose from {', '.join(THEMES)}.")


@contextmanager
def style(own: Theme = THEMES["light"]) -> Iterator[None]:
    """Draw in kndb's style, in a theme, for the length of a block."""
    from matplotlib import rc_context  # Optional dependency: the extra ``plot``.

    token = _theme.set(own)
    try:
        with rc_context(_settings(own)):
            yield
    finally:
        _theme.reset(token)


def _settings(own: Theme) -> Any:
    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    background = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return {
        **dict.fromkeys(ink, own.ink),
        **dict.fromkeys(background, own.background),
        "grid.color": own.grid,
        "font.family": families(),
        "font.size": 10,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "kndb",
    }


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
        color=theme().muted,
        va="bottom",
        fontsize=9,
    )


def legend(axes: Axes, handles: list[Any], labelspacing: float = 0.5) -> None:
    """The legend of every picture: without a frame, to the right of the axes, at the top."""
    axes.legend(
        handles=handles,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        labelspacing=labelspacing,
    )


def title(axes: Axes, text: str, found: Selected) -> None:
    """Write a title, and what was selected."""
    heading(axes, text, _about(found))


def _about(found: Selected) -> str:
    """The subtitle: the model; the fact, the relation or the number of facts; the languages."""
    rows = found.rows(_CHOSEN_FACTS)
    if not rows:
        raise NotFound("The selected facts have no knowledge neurons in this run; choose others.")
    relations = {row[1] for row in rows}
    if len(rows) == 1:
        ((key, relation, own, english),) = rows
        said = drawable(own or key, drawable(english or key, key))
        what = f"{drawable(relation, 'one relation')} · {said}"
    elif len(relations) == 1:
        what = f"{drawable(relations.pop(), 'one relation')} · {len(rows):,} facts"
    else:
        what = f"{len(relations)} relations · {len(rows):,} facts"
    langs = f" · {', '.join(map(language_label, found.langs))}" if found.langs else ""
    return f"{found.model} · {what}{langs}"


_CHOSEN_FACTS = """
    SELECT fact_key, relation.label,
           arg_min(subject || ' → ' || answer,
                   (NOT coalesce(list_contains($langs, prompt.lang), true), lang <> 'en', lang)),
           arg_min(subject || ' → ' || answer, (lang <> 'en', lang))
    FROM (SELECT DISTINCT fact_id FROM chosen)
    JOIN fact USING (fact_id) JOIN relation USING (relation_id) JOIN prompt USING (fact_id)
    GROUP BY fact_id, fact_key, relation.label ORDER BY ALL
"""
"""The selected facts, each labelled in a requested language and, if possible, in English."""


def ordered_colours(n: int, most: int) -> list[Any]:
    """The first ``n`` colours of the palette, or of a blue-to-yellow map if ``n > most``."""
    if n <= most:
        return list(theme().palette[:n])
    from matplotlib import colormaps

    lowest, highest = theme().colours
    return list(colormaps["viridis"](np.linspace(lowest, highest, n)))
