"""Notes on how a request was answered, through Python's logging: not errors, and not data.

The command line shows them on standard error. In Python, ``logging.basicConfig(level="INFO")``
shows them.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("kndb")


def note(text: str) -> None:
    """Tell whoever listens, in one sentence."""
    LOGGER.info(text)
