"""Pages as HTML, from templates. Everything is escaped; no script or style is inline."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from kndb.cells import column_texts, is_numeric, visible
from kndb_serve.asked import Asked, address
from kndb_serve.page import Form, Page
from kndb_serve.policy import POLICY
from kndb_serve.render.cells import grid, head_of, own, sentence
from kndb_serve.render.failure import Failure

NAVIGATION = (
    ("facts", "Facts"),
    ("neurons", "Neurons"),
    ("relations", "Relations"),
    ("languages", "Languages"),
    ("layers", "Layers"),
    ("edits", "Edits"),
    ("runs", "Runs"),
    ("compare", "Compare"),
    ("claims", "Claims"),
    ("sql", "SQL"),
)
"""The pages in the header, with their names."""


def html_page(page: Page, asked: Asked) -> str:
    """The page."""
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            asked=asked,
            kept=_kept(page, asked),
            forms=[
                (name, asked.url(form))
                for form, name, there in (
                    ("json", "JSON", True),
                    ("csv", "CSV", page.tables),
                    ("parquet", "Parquet", page.tables),
                    ("graphml", "GraphML", page.graph),
                )
                if there
            ],
        )
    )


def html_failure(failure: Failure, asked: Asked) -> str:
    """The sentence, with links to what comes close."""
    return _environment().get_template("failure.html").render(failure=failure, asked=asked)


def _kept(page: Page, asked: Asked) -> dict[str, str]:
    """Parameters that a form of the page sends along."""
    own_fields = {
        field.name for part in page.parts if isinstance(part, Form) for field in part.fields
    }
    left_out = {*own_fields, "token", "after"}
    return {name: value for name, value in asked.params.items() if name not in left_out}


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("kndb_serve"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    made.filters |= {
        "own": own,
        "sentence": sentence,
        "head": head_of,
        "visible": visible,
        "short": _short,
    }
    made.globals |= {
        "address": address,
        "grid": grid,
        "navigation": NAVIGATION,
        "policy": POLICY,
        "version": version("kndb"),
        "kind_of": _kind_of,
    }
    return made


def _kind_of(part: object) -> str:
    """The name of a part's or a field's class, by which a template chooses."""
    return type(part).__name__


def _short(value: object) -> str:
    """A value of the list of facts at the top of a page."""
    return (
        f"{value:,}" if is_numeric([value]) and isinstance(value, int) else column_texts([value])[0]
    )
