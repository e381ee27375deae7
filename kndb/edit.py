"""Changing what a model knows through its neurons: the public face of ``kndb.editing``.

>>> from kndb.edit import Editor, suppress, update                   # doctest: +SKIP
>>> with suppress(model, [Neuron(2, 117)]):                          # doctest: +SKIP
...     model.hf(**inputs)

The ledger of edits is kept by ``kndb edit``; see ``kndb_ingest.edits``.
"""

from kndb.editing.delta import Delta, erase, update
from kndb.editing.directions import direction
from kndb.editing.editor import Applied, Editor
from kndb.editing.scaling import enhance, scale, suppress

__all__ = [
    "Applied",
    "Delta",
    "Editor",
    "direction",
    "enhance",
    "erase",
    "scale",
    "suppress",
    "update",
]
