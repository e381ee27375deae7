"""The forms of fact sets as the table in ``docs/formats.md``, which a test compares with this."""

from generate.markdown import escape, table
from kndb_ingest.datasets.formats import FORMATS


def dataset_table() -> str:
    """Each form: its name, and what it looks like."""
    return table(
        ("name", "what it looks like"),
        [(f"`{form.name}`", escape(form.form)) for form in FORMATS],
    )
