"""The page of the database schema, from the documentation that every database carries."""

from __future__ import annotations

from itertools import groupby

from generate.markdown import prose, table
from kndb.store.describe import SchemaRow, describe_schema

START = """\
# The database

A kndb database is one DuckDB file; runs that keep every score have Parquet files beside it, which
the view `score` reads. This page holds what `kndb db schema` prints: every table and every view,
with what each column means. The same text is stored in the file itself, as comments.

For your own questions, begin with the views: they join the tables under readable names.

```console
$ kndb sql "SELECT fact_key, lang, predicted FROM predictions WHERE rank > 1"
$ kndb sql "SELECT * FROM knowledge_neurons WHERE n_langs >= 3"
$ kndb db schema knowledge_neurons
```

- Ids are 63-bit hashes of what they name, so the same fact has the same id in every database.
- Layers and neurons count from 0.
- The big tables have neither keys nor indexes. They are written sorted, and DuckDB skips what a
  question does not need.
- An older database is upgraded when it is opened; a newer one is refused.

"""


def schema_page() -> str:
    """Views first, then tables, each with its columns."""
    parts = [START]
    for kind, title in (("view", "Views"), ("table", "Tables")):
        parts.append(f"## {title}\n\n")
        rows = [row for row in describe_schema() if row.kind == kind]
        parts += [described(list(own)) for _, own in groupby(rows, key=lambda row: row.name)]
    return "".join(parts)


def described(rows: list[SchemaRow]) -> str:
    """A table or view: its name, what it holds, its columns."""
    whole, *columns = rows
    cells = [(f"`{row.column}`", row.type.lower(), prose(row.comment)) for row in columns]
    return (
        f"### {whole.name}\n\n{prose(whole.comment)}\n\n"
        f"{table(('column', 'type', 'meaning'), cells)}\n"
    )
