"""The picture of the languages: how much of each fact's neurons two languages share.

Below the diagonal what was measured, above it what chance would give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kndb.errors import NotFound
from kndb.graph.selection import Selected
from kndb.plotting.fonts import language_label
from kndb.plotting.style import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DECIMALS = 3
"""Of every number in the picture."""

_WRITTEN = 20  # more languages leave no room for numbers


def draw_languages(figure: Figure, found: Selected) -> None:
    """Draw the Jaccard overlap of each pair of languages, summed over facts, and that of chance.

    Raises:
        NotFound: there is only one language.
    """
    sizes = dict(found.rows("SELECT lang, count(*) FROM chosen GROUP BY lang ORDER BY lang"))
    axes = figure.subplots()
    title(axes, "Neurons that two languages share (Jaccard)", found)
    langs = list(sizes)
    if len(langs) < 2:
        raise NotFound(
            f"There is only one language, {', '.join(langs)}; this picture needs two or more."
        )
    jaccard = np.full((len(langs), len(langs)), np.nan)
    n_neurons = found.n_layers * found.n_neurons
    for a, b, shared, expected, sizes_added in found.rows(_PAIRS):
        one, other = langs.index(a), langs.index(b)
        expected /= n_neurons
        jaccard[other, one] = shared / (sizes_added - shared) if sizes_added else 0.0
        jaccard[one, other] = expected / (sizes_added - expected) if sizes_added else 0.0
    _draw_matrix(figure, axes, langs, jaccard)


_PAIRS = """,
    size AS (SELECT fact_id, lang, count(*) AS n FROM chosen GROUP BY ALL),
    shared AS (
        SELECT a.fact_id, a.lang AS one, b.lang AS other, count(*) AS n
        FROM chosen AS a JOIN chosen AS b USING (fact_id, layer, neuron)
        WHERE a.lang < b.lang GROUP BY ALL
    )
    SELECT a.lang, b.lang, sum(coalesce(shared.n, 0)), sum(a.n * b.n), sum(a.n + b.n)
    FROM size AS a JOIN size AS b ON a.fact_id = b.fact_id AND a.lang < b.lang
    LEFT JOIN shared ON shared.fact_id = a.fact_id AND one = a.lang AND other = b.lang
    GROUP BY a.lang, b.lang ORDER BY ALL
"""
"""Of each pair: the neurons shared, the sum over facts of the products of their numbers (over the
number of the model's neurons, what independent sets would share), and the sum of their numbers."""


def _draw_matrix(figure: Figure, axes: Axes, langs: list[str], jaccard: Any) -> None:
    side = max(4.8, 1.8 + 0.55 * len(langs))
    figure.set_size_inches(side + 1.4, side)
    highest = np.nanmax(jaccard) if np.any(jaccard > 0) else 1.0
    image = axes.imshow(jaccard, cmap="cividis", vmin=0, vmax=highest)
    labels = [language_label(lang) for lang in langs]
    axes.set_xticks(range(len(langs)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(langs)), labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(~np.isnan(jaccard)) if len(langs) <= _WRITTEN else ():
        value = jaccard[row, column]
        colour = "black" if value > 0.45 * highest else "white"
        text = f"{value:.{DECIMALS}f}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xlabel("below the diagonal: measured · above: by chance")
    bar = figure.colorbar(image, ax=axes, label="shared / all neurons, fact by fact", shrink=0.85)
    bar.ax.yaxis.set_major_formatter(f"{{x:.{DECIMALS}f}}")
