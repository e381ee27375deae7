"""Pictures of planted runs: drawn, the same each time, readable without fonts."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from kndb.errors import NotFound
from kndb.graph.groups import groups
from kndb.graph.selection import Selection
from kndb.plotting.fonts import can_draw, drawable, language_label
from kndb.plotting.group import _layout
from kndb.plotting.plot import PICTURES, plot
from kndb.store.database import connect
from planted_search import FACTS, add_search
from planted_store import plant


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "k.duckdb"
    add_search(path, plant(path, FACTS))
    return path


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("format", ["png", "svg"])
def test_pictures_are_drawn_and_do_not_change(
    tmp_path: Path, path: Path, picture: str, format: str
) -> None:
    begins = {"png": b"\x89PNG", "svg": b"<?xml"}[format]
    for name in ("a", "b"):
        plot(path, picture, tmp_path / f"{name}.{format}")  # type: ignore[arg-type]
    first, second = ((tmp_path / f"{name}.{format}").read_bytes() for name in ("a", "b"))
    assert first.startswith(begins)
    assert first == second


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
    assert b"pip install kndb[plot]" in done.stderr
    assert not (tmp_path / "a.png").exists()
