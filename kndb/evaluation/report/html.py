"""The page of a report: one HTML file that needs nothing else. Computes and reads nothing.

Everything that comes from data is escaped. Charts are ``svg`` elements; there is no script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from typing import Any

from kndb.evaluation.readable import Readable, readable
from kndb.evaluation.report.charts import can_draw, chart
from kndb.evaluation.report.findings import finding
from kndb.evaluation.report.page_colours import declarations
from kndb.evaluation.table import ALL, Table
from kndb.plotting.style import THEMES
from kndb.store.runs import StoredRun

_PORTRAIT = 13  # columns of a table that fits upright paper
_SHOWN = 24  # rows; of longer tables those about everything, the others behind a click


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: name of its evaluation.
        tables: the evaluation's results.
    """

    name: str
    tables: Sequence[Table]


_HEADS = {
    "factcheck": (
        "Fact check",
        "Can claims be told true from false by the neurons that carry a relation? Controls: "
        "random neurons of the same layers, the model's own first choice, and calling everything "
        "true.",
    ),
    "localisation": (
        "Localisation",
        "Do the neurons that a method names carry the fact, and that fact only? They are "
        "suppressed and enhanced; a good method moves the fact and leaves unrelated ones alone.",
    ),
    "faithfulness": (
        "Faithfulness",
        "Every neuron of the model was suppressed by itself, which is the ground truth; how well "
        "do the methods' scores agree with it?",
    ),
    "crosslingual": (
        "Languages",
        "Which neurons carry a fact in several languages, how many would chance give, and do edits "
        "made in one language reach the others?",
    ),
    "degenerate": (
        "Degenerate neurons",
        "Sets of neurons that stand in for each other: the answer survives the loss of each part, "
        "not of the whole.",
    ),
}


def page(run: StoredRun, sections: Sequence[Section], made_with: Mapping[str, Any]) -> str:
    """The page.

    Args:
        run: what it is about.
        sections: its parts, in order.
        made_with: settings that all tables have in common.
    """
    title = f"What the neurons of {run.model} are good for"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{_THEME}{_CSS}</style>",
        "</head>",
        "<body>",
        f"<header><h1>{escape(title)}</h1>",
        *_about(run, made_with),
        "</header>",
        *_findings(sections),
        *_contents(sections),
        "<main>",
        *(line for section in sections for line in _section(section)),
        "</main>",
        f"<footer><p>Made by kndb {escape(version('kndb'))} on "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC.</p></footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _about(run: StoredRun, made_with: Mapping[str, Any]) -> Iterator[str]:
    settings = {
        "model": run.model,
        "layers": run.n_layers,
        "neurons per layer": run.n_neurons,
        "run": run.run_id,
        "facts": run.dataset,
        "preset": run.preset,
        "tau": run.tau,
        "share": run.share,
        **made_with,
    }
    yield f'<p class="settings">{_settings(settings)}</p>'
    yield (
        "<p>Figures in brackets are the ends of 95\u00a0% intervals, from resampling facts with "
        "replacement. Every table is also in the folder <code>tables</code> next to this page, as "
        "CSV and JSON, in full precision.</p>"
    )
    if not can_draw():
        yield (
            '<p class="missing">There are no charts, as matplotlib is not installed: '
            "<code>pip install 'kndb[plot]'</code>.</p>"
        )


def _settings(settings: Mapping[str, Any]) -> str:
    """Names and values in one line, nested ones as ``outer.inner``."""
    return " · ".join(
        f"<span>{escape(name)} <b>{escape(str(value))}</b></span>"
        for name, value in _flat(settings)
        if value is not None
    )


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{before}{name}", ", ".join(map(str, value))
        else:
            yield f"{before}{name}", value


def _findings(sections: Sequence[Section]) -> Iterator[str]:
    found = [(section.name, finding(section.tables)) for section in sections]
    if any(sentence for _, sentence in found):
        yield '<section id="findings"><h2>Findings</h2><ul>'
        for name, sentence in found:
            if sentence:
                link = f'<a href="#{escape(name)}">{escape(_HEADS[name][0])}</a>'
                yield f"<li>{link}: {_marked(sentence)}</li>"
        yield "</ul></section>"


def _contents(sections: Sequence[Section]) -> Iterator[str]:
    yield '<nav aria-label="Contents"><h2>Contents</h2><ol>'
    for section in sections:
        yield f'<li><a href="#{escape(section.name)}">{escape(_HEADS[section.name][0])}</a><ul>'
        for table in section.tables:
            missing = "" if table.rows else " <em>(nothing to show)</em>"
            link = f'<a href="#{_id(table)}">{escape(table.title)}</a>'
            yield f"<li>{link}{missing}</li>"
        yield "</ul></li>"
    yield "</ol></nav>"


def _id(table: Table) -> str:
    return escape(f"table-{table.name}")


def _section(section: Section) -> Iterator[str]:
    title, text = _HEADS[section.name]
    yield f'<section id="{escape(section.name)}"><h2>{escape(title)}</h2>'
    yield f"<p>{escape(text)}</p>"
    for table in section.tables:
        yield from _table(table)
    yield "</section>"


def _table(table: Table) -> Iterator[str]:
    wide = ' class="wide"' if len(readable(table).heads) > _PORTRAIT else ""
    yield f'<article id="{_id(table)}"{wide}><h3>{escape(table.title)}</h3>'
    if not table.rows:
        for sentence in table.notes:
            yield f'<p class="missing">{_marked(sentence)}</p>'
        yield "</article>"
        return
    if can_draw() and (svg := chart(table)):
        yield f"<figure>{svg}</figure>"
    yield from _rows(table)
    if notes := [*table.notes, *readable(table).notes]:
        yield '<ul class="notes">'
        yield from (f"<li>{_marked(sentence)}</li>" for sentence in notes)
        yield "</ul>"
    yield f'<p class="settings">{_settings(table.settings)}</p>'
    yield f'<p class="settings">tables/{escape(table.name)}.csv, .json</p></article>'


def _marked(sentence: str) -> str:
    """A sentence, with `commands` as such."""
    unbroken = escape(sentence, quote=False).replace(" %", "\u00a0%")
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", unbroken)


def _rows(table: Table) -> Iterator[str]:
    shown = readable(table)
    if len(shown.rows) <= _SHOWN:
        yield from _grid(table, shown, shown.rows)
        return
    yield from _grid(table, shown, [shown.rows[at] for at in _first(table)])
    yield f"<details><summary>All {len(shown.rows):,} rows</summary>"
    yield from _grid(table, shown, shown.rows)
    yield "</details>"


def _first(table: Table) -> list[int]:
    """Places of the rows about all relations and languages; of one row, those about all of either.

    Without such rows, the first ones.
    """
    places = [at for at, name in enumerate(table.columns) if name in ("relation", "lang")]
    whole = [[row[at] == ALL for at in places] for row in table.rows]
    both = [at for at, wholes in enumerate(whole) if all(wholes) and wholes]
    either = [at for at, wholes in enumerate(whole) if any(wholes)]
    return (both if len(both) > 1 else either) or list(range(_SHOWN))


def _grid(table: Table, shown: Readable, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    label = escape(table.title)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
    kinds = [' class="n"' if numeric else "" for numeric in shown.numeric]
    heads = (
        f'<th scope="col"{kind}>{escape(head)}</th>'
        for kind, head in zip(kinds, shown.heads, strict=True)
    )
    yield f"<thead><tr>{''.join(heads)}</tr></thead><tbody>"
    for row in rows:
        cells = (
            f'<td{kind} data-head="{escape(head)}">{_cell(text)}</td>'
            for kind, head, text in zip(kinds, shown.heads, row, strict=True)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _cell(text: str) -> str:
    """A value, its interval a little smaller."""
    value, bracket, rest = text.partition(" [")
    if not bracket or not rest.endswith("]"):
        return escape(text)
    return f'{escape(value)} <span class="i">[{escape(rest)}</span>'


_THEME = f"""
:root {{ color-scheme: light dark; {declarations(THEMES["light"])} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {declarations(THEMES["dark"])} }} }}
"""

_CSS = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.25rem 3rem; color: var(--ink);
  background: var(--page); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .5rem; }
h2 { font-size: 1.35rem; margin: 0 0 .5rem; }
h3 { font-size: 1.05rem; margin: 0 0 .75rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--series-0); }
code { font: .9em ui-monospace, monospace; background: var(--band); padding: .1em .3em;
  border-radius: 3px; }
nav { margin: 1.5rem 0; padding: 1rem 1.25rem; background: var(--band); border-radius: 6px; }
nav ol, nav ul { margin: .2rem 0; padding-left: 1.4rem; }
nav ul { font-size: .92rem; }
section { margin-top: 3rem; padding-top: 1rem; border-top: 2px solid var(--series-0); }
article { margin: 2rem 0 2.5rem; }
figure { margin: 0 0 1rem; overflow-x: auto; }
figure svg { display: block; width: 100%; min-width: 30rem; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: left; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
th { border-bottom: 2px solid var(--muted); vertical-align: bottom; }
th.n, td.n { text-align: right; }
td { white-space: nowrap; }
tbody tr:hover { background: var(--band); }
.i { color: var(--muted); font-size: .92em; }
.notes { max-width: 46rem; margin: .75rem 0; padding-left: 1.2rem; font-size: .88rem; }
.settings { max-width: none; font-size: .8rem; color: var(--muted); }
.settings span { white-space: nowrap; }
.settings b { font-weight: 600; color: var(--ink); white-space: normal; }
.missing { padding: .6rem .9rem; background: var(--band); border-left: 4px solid var(--series-1);
  max-width: 46rem; }
summary { cursor: pointer; margin: .5rem 0; color: var(--series-0); }
footer { margin-top: 3rem; color: var(--muted); font-size: .85rem; }
@media screen and (max-width: 40rem) {
  body { padding: .75rem; }
  h1 { font-size: 1.4rem; }
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { padding: .4rem 0; border-bottom: 2px solid var(--grid); }
  td, td.n { display: flex; gap: .4rem; padding: .1rem 0; border: 0; text-align: right;
    white-space: normal; }
  td::before { content: attr(data-head); flex: 1; color: var(--muted); text-align: left; }
}
@media print {
  @page { margin: 1.5cm; }
  @page wide { size: landscape; }
  .wide { page: wide; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { break-after: page; }
  section { break-before: page; border-top: 0; }
  figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .scroll, figure { overflow: visible; }
  table { font-size: 6pt; }
  th, td { padding: .1rem .25rem; }
  .i { display: block; }
  details { display: none; }
}
"""
