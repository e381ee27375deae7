"""Why a request has no page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why there is no page.

    Attributes:
        status: of HTTP.
        sentence: what failed, and what to do.
        nearest: names that come close.
        heading: what these are.
    """

    status: int
    sentence: str
    nearest: Sequence[str] = ()
    heading: str = "Nearest"
