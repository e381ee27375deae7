"""Pictures of stored neurons: by layer, by language, as a map, and as degenerate groups.

matplotlib is an optional dependency and is imported only when drawing. Groups are drawn in
``kndb.plotting.group``; nothing is computed here beyond counts.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args

import numpy as np

from kndb.errors import NotFound, UsageError
from kndb.files import chosen_format, whole_file
from kndb.graph.selection import EVERYTHING, Selected, Selection, selected
from kndb.plotting.fonts import drawable, language_label
from kndb.plotting.group import draw_group
from kndb.plotting.style import PALETTE, heading, ordered_colours, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = Literal["layers", "languages", "degenerate", "neuron-map"]
PICTURES: tuple[Picture, ...] = get_args(Picture)
ENDINGS = {f".{name}": name for name in ("png", "svg", "pdf")}
"""Format by file suffix."""

_SMALLEST = 5  # area of a dot, in points squared


def plot(
    path: str | Path,
    picture: Picture,
    file: str | Path,
    selection: Selection = EVERYTHING,
    format: str | None = None,
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

    Raises:
        NotFound: there is nothing to draw.
        UsageError: several runs match, the format or picture is unknown, or matplotlib is missing.
        DatabaseError: the database cannot be opened.
        KndbError: the file cannot be written.
    """
    chosen = chosen_format(Path(file), format, ENDINGS)
    with whole_file(file) as stream:
        plot_into(stream, path, picture, selection, chosen)


def plot_into(
    stream: BinaryIO,
    path: str | Path,
    picture: Picture,
    selection: Selection,
    format: str,
) -> None:
    """Like ``plot``, but to an open stream, such as standard output."""
    figure = drawn(path, picture, selection)
    with style():
        figure.savefig(stream, format=format, dpi=160, metadata=_UNDATED.get(format))


def drawn(path: str | Path, picture: Picture, selection: Selection = EVERYTHING) -> Figure:
    """A picture as a matplotlib figure, which a notebook shows; see ``plot``."""
    if picture not in PICTURES:
        raise UsageError(f"There is no picture {picture!r}; choose from {', '.join(PICTURES)}.")
    figure = _figure()
    with selected(path, selection) as found, style():
        _DRAW[picture](figure, found)
    return figure


_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Dates are left out so that the same data produce the same file."""


def _figure() -> Figure:
    try:
        from matplotlib.figure import Figure  # Optional dependency: the extra ``plot``.
    except ImportError as error:
        raise UsageError(
            "Pictures need matplotlib; install it with `pip install kndb[plot]`."
        ) from error

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            """The figure for a notebook, in the same style as in a file."""
            stream = BytesIO()
            with style():
                self.savefig(stream, format="png", dpi=100)
            return stream.getvalue()

    return Shown(figsize=(8, 4.8), layout="constrained")


def _title(axes: Axes, text: str, found: Selected) -> None:
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


def _draw_layers(figure: Figure, found: Selected) -> None:
    """Neurons in each layer: bars by language, or a heat map if there are many languages."""
    rows = found.rows("SELECT lang, layer, count(*) FROM chosen GROUP BY ALL ORDER BY ALL")
    axes = figure.subplots()
    _title(axes, "Knowledge neurons by layer", found)
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
    for place, (lang, values) in enumerate(zip(langs, shares, strict=True)):
        x = np.arange(len(values)) + (place - (len(langs) - 1) / 2) * width
        axes.bar(x, values, width, color=PALETTE[place], label=language_label(lang))
    axes.set_ylabel("share of the language's neurons, %")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="language")


def _draw_many_languages(figure: Figure, axes: Axes, langs: list[str], shares: Any) -> None:
    figure.set_size_inches(8, max(4.8, 1.6 + 0.2 * len(langs)))
    image = axes.imshow(shares, cmap="cividis", aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(langs)), langs)
    figure.colorbar(image, ax=axes, label="share of the language's neurons, %")


def _draw_languages(figure: Figure, found: Selected) -> None:
    """The Jaccard overlap of each pair of languages, summed over facts."""
    sizes = dict(found.rows("SELECT lang, count(*) FROM chosen GROUP BY lang ORDER BY lang"))
    axes = figure.subplots()
    _title(axes, "Neurons that two languages share (Jaccard)", found)
    langs = list(sizes)
    if len(langs) < 2:
        raise NotFound(
            f"There is only one language, {', '.join(langs)}; this picture needs two or more."
        )
    jaccard = np.full((len(langs), len(langs)), np.nan)
    for a, b, shared, union in found.rows(_PAIRS):
        value = shared / union if union else 0.0
        jaccard[langs.index(a), langs.index(b)] = jaccard[langs.index(b), langs.index(a)] = value
    _draw_matrix(figure, axes, langs, jaccard)


_PAIRS = """,
    size AS (SELECT fact_id, lang, count(*) AS n FROM chosen GROUP BY ALL),
    shared AS (
        SELECT a.fact_id, a.lang AS one, b.lang AS other, count(*) AS n
        FROM chosen AS a JOIN chosen AS b USING (fact_id, layer, neuron)
        WHERE a.lang < b.lang GROUP BY ALL
    )
    SELECT a.lang, b.lang, sum(coalesce(shared.n, 0)) AS n_shared,
           sum(a.n + b.n - coalesce(shared.n, 0))
    FROM size AS a JOIN size AS b ON a.fact_id = b.fact_id AND a.lang < b.lang
    LEFT JOIN shared ON shared.fact_id = a.fact_id AND one = a.lang AND other = b.lang
    GROUP BY a.lang, b.lang ORDER BY ALL
"""


def _draw_matrix(figure: Figure, axes: Axes, langs: list[str], jaccard: Any) -> None:
    side = max(4.8, 1.8 + 0.55 * len(langs))
    figure.set_size_inches(side + 1.4, side)
    highest = np.nanmax(jaccard) if np.any(jaccard > 0) else 1.0
    image = axes.imshow(jaccard, cmap="cividis", vmin=0, vmax=highest)
    digits = 2 if highest >= 0.1 else 3
    labels = [language_label(lang) for lang in langs]
    axes.set_xticks(range(len(langs)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(langs)), labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.argwhere(~np.isnan(jaccard)) if len(langs) <= 20 else ():
        value = jaccard[row, column]
        colour = "black" if value > 0.45 * highest else "white"
        axes.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, label="shared / all neurons, fact by fact", shrink=0.85)


def _draw_map(figure: Figure, found: Selected) -> None:
    """Every neuron by layer and index; size shows its facts, colour its number of languages."""
    rows = found.rows(
        "SELECT layer, neuron, count(DISTINCT fact_id), count(DISTINCT lang) FROM chosen "
        "GROUP BY ALL ORDER BY 4, 3, 1, 2"
    )
    axes = figure.subplots()
    _title(axes, "Knowledge neurons, layer by layer", found)
    layers, neurons, facts, langs = (np.array(column) for column in zip(*rows, strict=True))
    figure.set_size_inches(9, max(3.6, 1.8 + 0.28 * found.n_layers))
    sizes = _area(facts, facts)
    kinds = np.unique(langs)
    colours = ordered_colours(len(kinds), 4)
    for kind, colour in zip(kinds, colours, strict=True):
        of = langs == kind
        count = f"{of.sum():,} neuron{'s' if of.sum() > 1 else ''}"
        name = f"{kind} language{'s' if kind > 1 else ''} ({count})"
        heights = (layers + _spread(neurons))[of]
        axes.scatter(neurons[of], heights, sizes[of], color=colour, alpha=0.8, lw=0, label=name)
    _label_largest(axes, layers, neurons, facts)
    axes.set_xlim(-0.01 * found.n_neurons, 1.01 * found.n_neurons)
    axes.set_ylim(-0.6, found.n_layers - 0.4 + 0.012 * found.n_layers)  # a label above
    axes.set_yticks(range(0, found.n_layers, max(1, found.n_layers // 16)))
    axes.set_xlabel("index of the neuron within its layer, from 0")
    axes.set_ylabel("layer, from 0")
    for layer in range(0, found.n_layers, 2):
        axes.axhspan(layer - 0.5, layer + 0.5, color="#f3f3f3", zorder=0, lw=0)
    _map_legend(figure, axes, colours, facts)


def _area(n: Any, facts: Any) -> Any:
    """The area, in points squared, of the dot of a neuron with ``n`` facts."""
    return _SMALLEST + 150 * n / max(facts.max(), 8)


def _spread(neurons: Any) -> Any:
    """Heights within a layer's band, chosen so that neighbours do not overlap."""
    golden = 0.6180339887  # its multiples are spread evenly
    return 0.64 * (neurons * golden % 1) - 0.32


def _label_largest(axes: Axes, layers: Any, neurons: Any, facts: Any) -> None:
    """Label the neurons with the most facts, if any neuron has more than one."""
    for at in np.argsort(-facts, kind="stable")[:5] if facts.max() > 1 else ():
        radius = _area(facts[at], facts) ** 0.5 / 2
        axes.annotate(
            f"{layers[at]}:{neurons[at]}",
            (neurons[at], layers[at] + _spread(neurons[at])),
            xytext=(0, radius + 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.7},
        )


def _map_legend(figure: Figure, axes: Axes, colours: list[Any], facts: Any) -> None:
    from matplotlib.lines import Line2D

    names = axes.get_legend_handles_labels()[1]
    dots = [
        Line2D([], [], marker="o", ls="", color=colour, markersize=7, label=name)
        for colour, name in zip(colours, names, strict=True)
    ]
    for n in sorted({1, int(facts.max())}):
        diameter = _area(n, facts) ** 0.5
        text = f"{n:,} fact{'s' if n > 1 else ''}"
        dots.append(Line2D([], [], marker="o", ls="", color="#bbbbbb", ms=diameter, label=text))
    figure.legend(handles=dots, loc="outside lower center", ncols=min(4, len(dots)), frameon=False)


_DRAW: dict[Picture, Callable[[Figure, Selected], None]] = {
    "layers": _draw_layers,
    "languages": _draw_languages,
    "degenerate": draw_group,
    "neuron-map": _draw_map,
}
