"""Neuron attribution: AMIG (Chen et al. 2024), exact, and fast by structure.

``attribute`` is the entry point; ``Settings`` and ``PRESETS`` define what it computes.
"""

from kndb.attribution.engine import Attribution, attribute
from kndb.attribution.settings import PRESETS, Settings, preset

__all__ = ["PRESETS", "Attribution", "Settings", "attribute", "preset"]
