"""Pictures of planted runs: drawn, the same each time, readable without fonts."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from kndb.errors import NotFound, UsageError
from kndb.graph.groups import groups
from kndb.graph.selection import EVERYTHING, Selection, selected
from kndb.plotting import fonts
from kndb.plotting.fonts import can_draw, drawable, language_label
from kndb.plotting.group import _layout
from kndb.plotting.languages import draw_languages
from kndb.plotting.neuron_map import COLOURS, Colour, draw_map
from kndb.plotting.plot import PICTURES, plot
from kndb.plotting.style import THEMES, ordered_colours, style
from kndb.store.database import connect
from planted_search import FACTS, add_search
from planted_store import plant


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("format", [pytest.param("png", marks=pytest.mark.long), "svg"])
def test_pictures_are_drawn_and_do_not_change(
    tmp_path: Path, path: Path, picture: str, format: str
) -> None:
    begins = {"png": b"\x89PNG", "svg": b"<?xml"}[format]
    for name in ("a", "b"):
        plot(path, picture, tmp_path / f"{name}.{format}")  # type: ignore[arg-type]
    first, second = ((tmp_path / f"{name}.{format}").read_bytes() for name in ("a", "b"))
    assert first.startswith(begins)
    assert first == second


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("n_layers", [3, 30])
def test_no_label_of_the_map_is_on_a_dot(colour: Colour, n_layers: int) -> None:
    rng = np.random.default_rng(0)
    places = {tuple(map(int, place)) for place in rng.integers((n_layers, 900), size=(600, 2))}
    rows: list[tuple[int, ...]] = [
        (a, b, 1 + (a * b) % 40, 1 + b % 4, 1 + a % 3) for a, b in sorted(places)
    ]
    found = Planted(n_layers, 900, rows)
    with style():
        figure = Figure(layout="constrained")
        draw_map(figure, found, colour)  # type: ignore[arg-type]
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    (axes,) = figure.axes
    own = Text.get_window_extent  # an annotation's has its line, too
    labels = [own(label) for label in axes.texts if ":" in label.get_text()]
    assert len(labels) == 5
    for dots in axes.collections:
        assert isinstance(dots, PathCollection)
        for at, size in zip(np.asarray(dots.get_offsets()), dots.get_sizes(), strict=True):
            radius = size**0.5 / 2 * figure.dpi / 72
            x, y = axes.transData.transform(at)
            for box in labels:
                near = max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1)
                assert math.hypot(*near) > radius - 0.5
    assert not any(a.overlaps(b) for a, b in combinations(labels, 2))


@dataclass
class Planted:
    """What a map needs of a selection."""

    n_layers: int
    n_neurons: int
    neurons: list[tuple[int, ...]]
    model: str = "planted"
    langs: tuple[str, ...] = ()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        if "FROM (SELECT DISTINCT fact_id" in sql:
            return [("P36:Q1", "capital", "A → B", "A → B")]
        return list(self.neurons)


def test_the_matrix_has_chance_above_the_diagonal(path: Path) -> None:
    with selected(path, EVERYTHING) as found, style():
        figure = Figure(layout="constrained")
        draw_languages(figure, found)
        sizes = found.rows("SELECT fact_id, lang, count(*) FROM chosen GROUP BY ALL")
        n_neurons = found.n_layers * found.n_neurons
    values = figure.axes[0].images[0].get_array()
    langs = sorted({lang for _, lang, _ in sizes})
    n = {(fact, lang): size for fact, lang, size in sizes}
    both = [fact for fact, lang in n if lang == langs[0] and (fact, langs[1]) in n]
    expected = sum(n[fact, langs[0]] * n[fact, langs[1]] for fact in both) / n_neurons
    every = sum(n[fact, langs[0]] + n[fact, langs[1]] for fact in both)
    assert values is not None
    assert values[0, 1] == pytest.approx(expected / (every - expected))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {len(text.partition(".")[2]) for text in texts if text[0].isdigit()} == {3}


@pytest.mark.parametrize("picture", PICTURES)
def test_a_dark_theme(tmp_path: Path, path: Path, picture: str) -> None:
    plot(path, picture, tmp_path / "a.svg", theme="dark")  # type: ignore[arg-type]
    svg = (tmp_path / "a.svg").read_text()
    assert THEMES["dark"].background in svg
    with pytest.raises(UsageError, match="choose from light, dark"):
        plot(path, picture, tmp_path / "b.svg", theme="pink")  # type: ignore[arg-type]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: the ratio of the relative luminances of two colours, each with 0.05 added."""
    channels = np.array([to_rgb(one), to_rgb(other)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    return float(high / low)


def test_nothing_is_dim_in_the_dark_theme() -> None:
    dark = THEMES["dark"]
    with style(dark):
        drawn = [dark.ink, dark.muted, *ordered_colours(8, 8), *ordered_colours(9, 8)]
    for colour in drawn:
        assert contrast(colour, dark.background) >= 4.5, colour
    assert contrast("#0072B2", dark.background) == pytest.approx(3.42, abs=0.01)


def test_fonts_installed_after_matplotlibs_list_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    mono = next(entry for entry in fontManager.ttflist if entry.name == "DejaVu Sans Mono")
    others = [entry for entry in fontManager.ttflist if entry.name != "DejaVu Sans Mono"]
    monkeypatch.setattr(fontManager, "ttflist", others)
    monkeypatch.setattr(fonts, "_WIDE_FONTS", ("DejaVu Sans Mono",))
    monkeypatch.setattr(
        "matplotlib.font_manager.findSystemFonts", lambda: [mono.fname, "/none.ttf"]
    )
    assert fonts.families.__wrapped__() == ["DejaVu Sans", "DejaVu Sans Mono"]


def test_labels_without_a_font_are_replaced() -> None:
    assert can_draw("русский español")
    assert not can_draw("\U0010fffd")
    assert drawable("\U0010fffd", "P36:Q1") == "P36:Q1"
    assert language_label("ru") == "ru русский"
    assert language_label("zh") == ("zh 中文" if can_draw("中文") else "zh Chinese")
    assert (language_label("ar"), language_label("tlh")) == ("ar Arabic", "tlh")


@pytest.mark.parametrize("picture", ["layers", "neuron-map", "degenerate"])
def test_names_without_a_font_are_not_drawn(path: Path, tmp_path: Path, picture: str) -> None:
    """matplotlib warns about a missing glyph, and warnings fail the test."""
    strange = tmp_path / "k.duckdb"
    strange.write_bytes(path.read_bytes())
    with connect(strange, write=True) as connection:
        connection.execute("UPDATE prompt SET subject = chr(1114109), answer = chr(1114109)")
        connection.execute("UPDATE relation SET label = chr(1114109)")
    fact = Selection(fact="P36:Q1", langs=["en"])
    plot(strange, picture, tmp_path / "a.png", fact)  # type: ignore[arg-type]
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_layout_keeps_partners_near_and_others_apart() -> None:
    star = nx.star_graph(4)
    place = _layout(star)
    arms = [math.dist(place[0], place[leaf]) for leaf in range(1, 5)]
    assert max(arms) < 1.3
    assert min(arms) > 0.7
    assert min(math.dist(place[a], place[b]) for a in range(1, 5) for b in range(1, a)) > 1.1
    (a, b) = _layout(nx.path_graph(2)).values()
    assert math.dist(a, b) == pytest.approx(1)


def test_a_group_too_large_for_a_picture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "k.duckdb"
    ring = [((0, n), (0, (n + 1) % 61)) for n in range(61)]
    add_search(path, plant(path, FACTS), {("P36:Q1", "en"): ring})
    with pytest.raises(NotFound, match="more than 60 neurons, too many for a picture"):
        plot(path, "degenerate", tmp_path / "a.png")
    assert groups(path).to_dicts()[0]["size"] == 61


def test_one_language_has_no_matrix(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="only one language, en"):
        plot(path, "languages", tmp_path / "a.png", Selection(langs=["en"]))


def test_a_group_is_drawn_without_scipy(path: Path, tmp_path: Path) -> None:
    """SciPy is not a dependency of kndb, although networkx's layouts need it."""
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "from kndb_cli.main import main\n"
        f"sys.exit(main(['graph', 'plot', 'degenerate', '--db', {str(path)!r}, '-o', 'a.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"Drew degenerate to a.png.\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_sentence_says_what_to_install(path: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "from kndb_cli.main import main\n"
        f"sys.exit(main(['graph', 'plot', 'layers', '--db', {str(path)!r}, '-o', 'a.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path)
    assert done.returncode == 2
    assert b"pip install 'kndb[plot]'" in done.stderr
    assert not (tmp_path / "a.png").exists()
