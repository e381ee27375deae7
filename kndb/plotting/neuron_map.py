"""The map of the neurons: every knowledge neuron by layer and index.

A dot's area shows its facts, its colour the number of its languages, facts or relations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from kndb.graph.selection import Selected
from kndb.plain import counted
from kndb.plotting.style import legend, ordered_colours, theme, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = Literal["languages", "facts", "relations"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
"""What a dot's colour can show."""

_SMALLEST = 5  # area of a dot, in points squared
_LAYER = 0.38  # inches: the dots of a layer, and room for labels above them
_HALF = 0.27  # of the band of dots, in layers; the labels are between the bands
_LABELS = 5
_FONT = 8


def draw_map(figure: Figure, found: Selected, colour: Colour = "languages") -> None:
    """Draw every neuron, and label those with the most facts."""
    rows = found.rows(
        "SELECT layer, neuron, count(DISTINCT fact_id), count(DISTINCT lang), "
        "count(DISTINCT relation_id) FROM chosen "
        "GROUP BY ALL ORDER BY 4, 3, 1, 2"
    )
    axes = figure.subplots()
    title(axes, "Knowledge neurons, layer by layer", found)
    layers, neurons, facts, langs, relations = map(np.array, zip(*rows, strict=True))
    inches = max(3.2, _LAYER * found.n_layers)
    figure.set_size_inches(9.5, inches + 1.4)
    layer_points = 72 * inches / found.n_layers
    sizes = _area(facts, facts)
    heights = layers + _spread(neurons) * (2 * _HALF - np.sqrt(sizes) / layer_points)
    counts = {"languages": langs, "facts": facts, "relations": relations}[colour]
    handles = _draw_dots(axes, neurons, heights, sizes, counts, colour)
    axes.set_xlim(-0.01 * found.n_neurons, 1.01 * found.n_neurons)
    axes.set_ylim(-0.6, found.n_layers - 0.2)  # a label above the last layer
    axes.set_yticks(range(0, found.n_layers, max(1, found.n_layers // 16)))
    axes.set_xlabel("index of the neuron within its layer, from 0")
    axes.set_ylabel("layer, from 0")
    for layer in range(0, found.n_layers, 2):
        axes.axhspan(layer - _HALF, layer + _HALF, color=theme().band, zorder=0, lw=0)
    _label_largest(axes, layers, neurons, heights, facts, found.n_neurons)
    legend(axes, [*handles, *_size_handles(facts)])


def _draw_dots(
    axes: Axes, neurons: Any, heights: Any, sizes: Any, counts: Any, what: str
) -> list[Any]:
    """Draw the dots, those with the highest counts last, and return what the legend shows."""
    from matplotlib.lines import Line2D

    bins = _bins(counts)
    colours = ordered_colours(len(bins), 4)
    handles = []
    for (low, high), colour in zip(bins, colours, strict=True):
        of = (counts >= low) & (counts <= high)
        axes.scatter(neurons[of], heights[of], sizes[of], color=colour, alpha=0.8, lw=0)
        name = f"{low}" if low == high else f"{low}–{high}"
        plural = what if high > 1 else what.removesuffix("s")
        text = f"{name} {plural} ({counted(int(of.sum()), 'neuron')})"
        handles.append(Line2D([], [], marker="o", ls="", color=colour, markersize=7, label=text))
    return handles


def _bins(counts: Any) -> list[tuple[int, int]]:
    """The counts one by one if they are few, otherwise in doubling steps; none is empty.

    >>> _bins(np.array([1, 2, 2, 3, 5, 6, 7, 40]))
    [(1, 1), (2, 3), (4, 7), (32, 40)]
    """
    kinds = [int(kind) for kind in np.unique(counts)]
    if len(kinds) <= 6:
        return [(kind, kind) for kind in kinds]
    lows = sorted({1 << (kind.bit_length() - 1) for kind in kinds})
    return [(low, min(2 * low - 1, kinds[-1])) for low in lows]


def _area(n: Any, facts: Any) -> Any:
    """The area, in points squared, of the dot of a neuron with ``n`` facts."""
    return _SMALLEST + 150 * n / max(facts.max(), 8)


def _spread(neurons: Any) -> Any:
    """Heights from -0.5 to 0.5, chosen so that neighbours do not overlap."""
    golden = 0.6180339887  # its multiples are spread evenly
    return neurons * golden % 1 - 0.5


def _label_largest(
    axes: Axes, layers: Any, neurons: Any, heights: Any, facts: Any, n_neurons: int
) -> None:
    """Label the neurons with the most facts, if any has more than one, above the dots of its layer.

    There a label covers no dot; a line leads to its own.
    """
    if facts.max() == 1:
        return
    chosen = np.argsort(-facts, kind="stable")[:_LABELS]
    room = 0.01 * n_neurons
    for layer in np.unique(layers[chosen]):
        beside = -np.inf
        for at in sorted(chosen[layers[chosen] == layer], key=lambda at: neurons[at]):
            text = f"{layers[at]}:{neurons[at]}"
            width = len(text) * room
            x = min(max(float(neurons[at]), beside + width), n_neurons - width / 2)
            beside = x + width / 2
            axes.annotate(
                text,
                (neurons[at], heights[at]),
                xytext=(x, layer + 0.5),
                ha="center",
                va="center",
                fontsize=_FONT,
                arrowprops={"arrowstyle": "-", "lw": 0.6, "color": theme().muted},
            )


def _size_handles(facts: Any) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = []
    for n in sorted({1, int(facts.max())}):
        size = _area(n, facts) ** 0.5
        label = counted(n, "fact")
        handles.append(Line2D([], [], marker="o", ls="", color="#999999", ms=size, label=label))
    return handles
