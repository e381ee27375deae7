"""Changing what a model knows through its neurons: the public face of this room.

>>> from kndb.edit import Editor, suppress, update                   # doctest: +SKIP
>>> with suppress(model, [Neuron(2, 117)]):                          # doctest: +SKIP
...     model.hf(**inputs)

The ledger of edits is kept by ``kndb edit``; see ``kndb.edit.batch``.
"""

from kndb.edit.deltas import Delta, erase, update
from kndb.edit.directions import direction
from kndb.edit.editor import Applied, Editor, edited
from kndb.edit.scaling import enhance, scale, suppress

__all__ = [
    "Applied",
    "Delta",
    "Editor",
    "direction",
    "edited",
    "enhance",
    "erase",
    "scale",
    "suppress",
    "update",
]
