"""Pictures of stored neurons: by layer, by language, as a map, and as degenerate groups.

matplotlib is an optional dependency and is imported only when drawing. The layers are drawn here,
the other pictures in modules of their own; nothing is computed here beyond counts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args

import numpy as np

from kndb.errors import UsageError
from kndb.files import chosen_format, whole_file
from kndb.graph.selection import EVERYTHING, Selected, Selection, selected
from kndb.plotting.fonts import language_label
from kndb.plotting.group import draw_group
from kndb.plotting.languages import draw_languages
from kndb.plotting.neuron_map import COLOURS, Colour, draw_map
from kndb.plotting.style import PALETTE, THEMES, check_theme, legend, ordered_colours, style, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = Literal["layers", "languages", "degenerate", "neuron-map"]
PICTURES: tuple[Picture, ...] = get_args(Picture)
ENDINGS = {f".{name}": name for name in ("png", "svg", "pdf")}
"""Format by file suffix."""


def plot(
    path: str | Path,
    picture: Picture,
    file: str | Path,
    selection: Selection = EVERYTHING,
    format: str | None = None,
    *,
    colour: Colour = "languages",
    theme: str = "light",
) -> None:
    """Draw a picture of a fact, a relation or a run.

    Args:
        path: the database.
        picture: ``layers``: knowledge neurons in each layer, by language; ``languages``: the
            overlap of each pair of languages (Jaccard); ``degenerate``: the largest degenerate
            group; ``neuron-map``: every knowledge neuron by layer and index.
        file: the file to write; see ``kndb.files.whole_file``.
        selection: which neurons.
        format: ``png``, ``svg`` or ``pdf``. Default: by the file's suffix.
        colour: what colours show in a ``neuron-map``: the number of a neuron's ``languages``,
            ``facts`` or ``relations``.
        theme: ``light`` or ``dark``.

    Raises:
        NotFound: there is nothing to draw.
        UsageError: several runs match, the format or picture is unknown, or matplotlib is missing.
        DatabaseError: the database cannot be opened.
        KndbError: the file cannot be written.
    """
    chosen = chosen_format(Path(file), format, ENDINGS)
    with whole_file(file) as stream:
        plot_into(stream, path, picture, selection, chosen, colour=colour, theme=theme)


def plot_into(
    stream: BinaryIO,
    path: str | Path,
    picture: Picture,
    selection: Selection,
    format: str,
    *,
    colour: Colour = "languages",
    theme: str = "light",
) -> None:
    """Like ``plot``, but to an open stream, such as standard output."""
    figure = drawn(path, picture, selection, colour=colour, theme=theme)
    with style(THEMES[theme]):
        figure.savefig(stream, format=format, dpi=160, metadata=_UNDATED.get(format))


def drawn(
    path: str | Path,
    picture: Picture,
    selection: Selection = EVERYTHING,
    *,
    colour: Colour = "languages",
    theme: str = "light",
) -> Figure:
    """A picture as a matplotlib figure, which a notebook shows; see ``plot``."""
    if picture not in PICTURES:
        raise UsageError(f"There is no picture {picture!r}; choose from {', '.join(PICTURES)}.")
    if colour not in COLOURS:
        raise UsageError(f"There is no colour by {colour!r}; choose from {', '.join(COLOURS)}.")
    check_theme(theme)
    draw = partial(draw_map, colour=colour) if picture == "neuron-map" else _DRAW[picture]
    _need_matplotlib()
    with selected(path, selection) as found, style(THEMES[theme]):
        figure = _figure(theme)
        draw(figure, found)
        return figure


_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Dates are left out so that the same data produce the same file."""


def _figure(theme: str) -> Figure:
    from matplotlib import figure  # Optional dependency: the extra ``plot``.

    class Figure(figure.Figure):
        def _repr_png_(self) -> bytes:
            """The figure for a notebook, in the same style as in a file."""
            stream = BytesIO()
            with style(THEMES[theme]):
                self.savefig(stream, format="png", dpi=100)
            return stream.getvalue()

    return Figure(figsize=(8, 4.8), layout="constrained")


def _need_matplotlib() -> None:
    try:
        import matplotlib.figure  # noqa: F401  # Optional dependency: the extra ``plot``.
    except ImportError as error:
        raise UsageError(
            "Pictures need matplotlib; install it with `pip install 'kndb[plot]'`."
        ) from error


def _draw_layers(figure: Figure, found: Selected) -> None:
    """Neurons in each layer: bars by language, or a heat map if there are many languages."""
    rows = found.rows("SELECT lang, layer, count(*) FROM chosen GROUP BY ALL ORDER BY ALL")
    axes = figure.subplots()
    title(axes, "Knowledge neurons by layer", found)
    langs = sorted({lang for lang, _, _ in rows})
    counts = np.zeros((len(langs), found.n_layers))
    for lang, layer, n in rows:
        counts[langs.index(lang), layer] = n
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    if len(langs) > len(PALETTE):
        _draw_many_languages(figure, axes, langs, shares)
    else:
        _draw_bars(axes, langs, shares)
    axes.set_xticks(range(0, found.n_layers, max(1, found.n_layers // 24)))
    axes.set_xlabel("layer, from 0")


def _draw_bars(axes: Axes, langs: list[str], shares: Any) -> None:
    width = 0.84 / len(langs)
    colours = ordered_colours(len(langs), len(PALETTE))
    for place, (lang, values) in enumerate(zip(langs, shares, strict=True)):
        x = np.arange(len(values)) + (place - (len(langs) - 1) / 2) * width
        axes.bar(x, values, width, color=colours[place], label=language_label(lang))
    axes.set_ylabel("share of the language's neurons, %")
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    legend(axes, axes.get_legend_handles_labels()[0])


def _draw_many_languages(figure: Figure, axes: Axes, langs: list[str], shares: Any) -> None:
    figure.set_size_inches(8, max(4.8, 1.6 + 0.2 * len(langs)))
    image = axes.imshow(shares, cmap="cividis", aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(langs)), [language_label(lang) for lang in langs])
    figure.colorbar(image, ax=axes, label="share of the language's neurons, %")


_DRAW: dict[Picture, Callable[[Figure, Selected], None]] = {
    "layers": _draw_layers,
    "languages": draw_languages,
    "degenerate": draw_group,
    "neuron-map": draw_map,
}
