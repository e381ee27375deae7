"""The table of the forms of fact sets, from the table by which they are recognised."""

from generate.markdown import escape, table
from kndb_ingest.datasets.formats import FORMATS


def dataset_table() -> str:
    """Each form: its name, and what it looks like."""
    return table(
        ("name", "what it looks like"),
        [(f"`{form.name}`", escape(form.form)) for form in FORMATS],
    )
