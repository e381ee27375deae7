"""Pages as JSON and CSV."""

from __future__ import annotations

import io
import json

from kndb.errors import NotFound
from kndb.plain import json_objects, plain, unique, write_csv
from kndb.store.result import Result
from kndb_serve.asked import Asked
from kndb_serve.page import Page, Table
from kndb_serve.render.failure import Failure
from kndb_serve.render.rows import shown


def json_page(page: Page, asked: Asked) -> str:
    """The title, the facts and every table. Long ids are text."""
    tables = {
        part.name: _json_table(part, asked)
        for part in page.parts
        if isinstance(part, Table) and asked.text("table") in (None, part.name)
    }
    about = {"title": page.title, "kind": page.kind, "facts": plain(dict(page.facts))}
    head = json.dumps(about, ensure_ascii=False)[:-1]
    inside = ",\n".join(f"{json.dumps(name)}: {table}" for name, table in tables.items())
    return f'{head}, "tables": {{\n{inside}\n}}}}\n'


def _json_table(table: Table, asked: Asked) -> str:
    part = shown(table, asked)
    rows = ",\n".join(json_objects(part.rows.columns, part.rows))
    about = {"total": part.total, "next": part.next, "empty": table.empty if not part.total else ""}
    head = json.dumps({name: value for name, value in about.items() if value not in (None, "")})
    return f'{head[:-1]}, "rows": [\n{rows}\n]}}'


def csv_page(page: Page, asked: Asked) -> str:
    """The first table, or the one that is asked for.

    Raises:
        NotFound: the page has no such table.
    """
    rows = _one_table(page, asked)
    stream = io.StringIO()
    write_csv(rows.columns, rows, stream)
    return stream.getvalue()


def parquet_page(page: Page, asked: Asked) -> bytes:
    """The first table, or the one that is asked for; numbers and dates keep their types.

    Raises:
        NotFound: the page has no such table.
    """
    import pyarrow.parquet as pq  # Deferred: only this form needs it.

    rows = _one_table(page, asked)
    stream = io.BytesIO()
    pq.write_table(rows.to_arrow().rename_columns(unique(rows.columns)), stream)
    return stream.getvalue()


def graphml_page(page: Page, asked: Asked) -> bytes:
    """The page's graph.

    Raises:
        NotFound: it has none.
    """
    if page.graph is None:
        raise NotFound(f"{asked.path} has no graph; the pages below /graph have one.")
    return page.graph()


def _one_table(page: Page, asked: Asked) -> Result:
    tables = [part for part in page.parts if isinstance(part, Table)]
    name = asked.text("table") or (tables[0].name if tables else "")
    found = next((table for table in tables if table.name == name), None)
    if found is None:
        known = [table.name for table in tables]
        raise NotFound(f"This page has no table {name!r:.40}.", known, "Tables")
    return shown(found, asked).rows


def json_failure(failure: Failure, asked: Asked) -> str:
    """The sentence, and what comes close."""
    said = {"error": failure.sentence, "nearest": list(failure.nearest)}
    return json.dumps(said, ensure_ascii=False) + "\n"


def csv_failure(failure: Failure, asked: Asked) -> str:
    """The sentence, as text."""
    return failure.sentence + "\n"
