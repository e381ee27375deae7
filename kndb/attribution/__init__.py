"""Neuron attribution: AMIG (Chen et al. 2024), exact, and fast by structure.

``attribute`` is the entry point; ``Settings`` and ``PRESETS`` define what it computes.
"""

from typing import TYPE_CHECKING

from kndb.lazy import lazily

__all__ = ["PRESETS", "Attribution", "Settings", "attribute", "preset"]

__getattr__ = lazily(
    __name__,
    {
        "kndb.attribution.engine": ("attribute",),
        "kndb.attribution.result": ("Attribution",),
        "kndb.attribution.settings": ("PRESETS", "Settings", "preset"),
    },
)

if TYPE_CHECKING:  # type checkers do not follow __getattr__
    from kndb.attribution.engine import attribute
    from kndb.attribution.result import Attribution
    from kndb.attribution.settings import PRESETS, Settings, preset
