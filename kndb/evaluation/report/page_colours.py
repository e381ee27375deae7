"""The colours of a report's page: CSS variables, light or dark as the reader's screen is.

Charts are drawn in stand-ins, colours that none of them has of its own, and these become variables.
"""

from __future__ import annotations

import re

from kndb.plotting.style import PALETTE, THEMES, Theme

_NAMES = ("page", "ink", "muted", "band", "grid", *(f"series-{n}" for n in range(len(PALETTE))))
_STAND_INS = tuple(f"#0001{number:02x}" for number in range(len(_NAMES)))

STAND_INS = Theme(
    background=_STAND_INS[0],
    ink=_STAND_INS[1],
    muted=_STAND_INS[2],
    band=_STAND_INS[3],
    grid=_STAND_INS[4],
    palette=_STAND_INS[5:],
    colours=THEMES["light"].colours,
)
"""The theme to draw charts in."""


def with_variables(svg: str) -> str:
    """A chart with the page's variables in place of the stand-ins.

    >>> with_variables('<path style="fill: #000101"/>')
    '<path style="fill: var(--ink)"/>'
    """
    named = dict(zip(_STAND_INS, _NAMES, strict=True))
    return re.sub("|".join(_STAND_INS), lambda found: f"var(--{named[found[0]]})", svg)


def declarations(theme: Theme) -> str:
    """The values of the variables in a theme, as CSS."""
    values = (theme.background, theme.ink, theme.muted, theme.band, theme.grid, *theme.palette)
    return " ".join(f"--{name}: {value};" for name, value in zip(_NAMES, values, strict=True))
