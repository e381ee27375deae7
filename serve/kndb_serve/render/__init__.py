"""Turns pages into HTML, JSON and CSV, and failures into one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from kndb_serve.asked import Asked
from kndb_serve.page import Page
from kndb_serve.render.data import (
    csv_failure,
    csv_page,
    graphml_page,
    json_failure,
    json_page,
    parquet_page,
)
from kndb_serve.render.failure import Failure
from kndb_serve.render.html import html_failure, html_page

__all__ = ["FORMS", "Failure", "render", "render_failure"]


@dataclass(frozen=True)
class _Form:
    media_type: str
    page: Callable[[Page, Asked], str | bytes]
    failure: Callable[[Failure, Asked], str]


FORMS = {
    "html": _Form("text/html", html_page, html_failure),
    "json": _Form("application/json", json_page, json_failure),
    "csv": _Form("text/csv", csv_page, csv_failure),
    "parquet": _Form("application/vnd.apache.parquet", parquet_page, csv_failure),
    "graphml": _Form("application/graphml+xml", graphml_page, csv_failure),
}
"""The forms of a page, by the ending of its address; HTML needs none."""


def render(page: Page, asked: Asked) -> Response:
    """The page in the form that is asked for."""
    form = FORMS[asked.form]
    return Response(form.page(page, asked), page.status, media_type=form.media_type)


def render_failure(failure: Failure, asked: Asked) -> Response:
    """Why there is no page, in the form that is asked for."""
    form = FORMS[asked.form]
    media_type = "text/plain" if form.failure is csv_failure else form.media_type
    return Response(form.failure(failure, asked), failure.status, media_type=media_type)
