"""Draws the picture of the data flow: boxes on a grid, arrows downwards. Colours are the page's."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 640
BOX_HEIGHT = 50
DATA = "data"
"""Kind of a box that is a file or people; all others are packages."""


@dataclass(frozen=True)
class Box:
    """One box: its two lines, its middle ``x``, its top ``y`` and its width."""

    name: str
    note: str
    x: int
    y: int
    width: int
    kind: str = "code"

    @property
    def bottom(self) -> int:
        """Where arrows leave it."""
        return self.y + BOX_HEIGHT


BOXES = {
    "facts": Box("Fact set", "folder, file or demo", 125, 10, 220, DATA),
    "weights": Box("Language model", "hub, folder or demo", 355, 10, 220, DATA),
    "datasets": Box("kndb_ingest.datasets", "facts become prompts", 125, 100, 220),
    "models": Box("kndb.models", "one interface for all models", 355, 100, 220),
    "attribution": Box("kndb.attribution", "a score for every neuron", 240, 190, 450),
    "store": Box("kndb.store", "rows in one DuckDB file", 240, 280, 450),
    "query": Box("kndb.query", "neurons, facts, SQL", 90, 370, 145),
    "serve": Box("kndb_serve", "pages, in a browser", 90, 460, 145),
    "graph": Box("kndb.graph", "overlap, groups", 240, 370, 145),
    "work": Box("kndb.edit", "degenerate, factcheck", 390, 370, 145),
    "plotting": Box("kndb.plotting", "pictures", 240, 460, 145),
    "evaluation": Box("kndb.evaluation", "tables and a report", 390, 460, 145),
    "people": Box(
        "kndb_cli, import kndb, a browser",
        "tables, JSON, CSV, Parquet, pictures",
        240,
        550,
        450,
        DATA,
    ),
}

ARROWS = [
    ("facts", "datasets"),
    ("weights", "models"),
    ("datasets", "attribution"),
    ("models", "attribution"),
    ("attribution", "store"),
    ("store", "query"),
    ("store", "graph"),
    ("store", "work"),
    ("graph", "plotting"),
    ("work", "evaluation"),
    ("query", "serve"),
    ("serve", "people"),
    ("plotting", "people"),
    ("evaluation", "people"),
]
BOTH_WAYS = ("store", "work")
"""Searches, edits and calibrations are stored, too."""

STYLE = """\
.flow { font-family: inherit; max-width: 34rem; width: 100%; height: auto; }
.flow rect { fill: var(--color-background-secondary, #f4f4f4); stroke: currentColor; }
.flow rect.data { fill: none; stroke-dasharray: 5 3; }
.flow text { fill: currentColor; text-anchor: middle; font-size: 13px; }
.flow text.name { font-weight: 600; font-size: 14px; }
.flow path { fill: none; stroke: currentColor; stroke-width: 1.3; marker-end: url(#flow-tip); }
.flow path.both { marker-start: url(#flow-tip); }
.flow #flow-tip path { fill: currentColor; marker-end: none; }
"""

TEXT = (
    "Data flow: fact sets become prompts, models are loaded behind one interface, attribution "
    "gives every neuron a score, and the store keeps rows in DuckDB. Queries, graphs, degenerate "
    "search, edits and fact checks read them; pages, evaluation and pictures build on those; the "
    "command line, Python and a browser show the results."
)


def data_flow() -> str:
    """The picture as SVG, to be put into a page."""
    tip = (
        '<defs><marker id="flow-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    parts = [f"<style>{STYLE}</style>", tip, *map(arrow, ARROWS), *map(drawn, BOXES.values())]
    return (
        f'<svg class="flow" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(TEXT)}" '
        f'xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def drawn(box: Box) -> str:
    """A box with its two lines of text."""
    left = box.x - box.width // 2
    return (
        f'<rect class="{box.kind}" x="{left}" y="{box.y}" width="{box.width}" '
        f'height="{BOX_HEIGHT}" rx="6"/>'
        f'<text class="name" x="{box.x}" y="{box.y + 21}">{escape(box.name)}</text>'
        f'<text x="{box.x}" y="{box.y + 39}">{escape(box.note)}</text>'
    )


def arrow(ends: tuple[str, str]) -> str:
    """An arrow from one box straight down to another."""
    upper, lower = (BOXES[name] for name in ends)
    x = upper.x if upper.width <= lower.width else lower.x
    both = ' class="both"' if ends == BOTH_WAYS else ""
    start = upper.bottom + (3 if both else 0)
    if abs(upper.x - lower.x) > (upper.width + lower.width) // 2 - 20:
        raise ValueError(f"{ends} do not overlap, so no straight arrow joins them.")
    return f'<path{both} d="M{x} {start} V{lower.y - 3}"/>'
