"""Values as people read them in tables, in a terminal and in a notebook. Draws nothing.

Numbers are rounded only here; other formats have them in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from kndb.plain import plain

UNKNOWN = "–"
"""What stands for a missing value."""


@cache
def _obeyed() -> dict[int, str]:
    """The escapes of characters that a terminal obeys. Made when first needed: that takes 1 ms."""
    codes = chain(
        range(0x20),  # C0, with ESC
        range(0x7F, 0xA0),  # DEL and C1, with CSI and OSC in one character
        (0x061C, 0x2028, 0x2029),  # Arabic letter mark; separators of lines
        range(0x202A, 0x202F),  # embeddings and overrides of direction
        range(0x2066, 0x206A),  # isolates of direction
        range(0xD800, 0xE000),  # undecodable bytes of file names
    )
    return {code: f"\\u{code:04x}" for code in codes if chr(code) not in "\t\n"}


def visible(text: str) -> str:
    r"""The text with each character that a terminal obeys as an escape, as in JSON.

    >>> print(visible("\x1b[2J \u202eParis"))
    \u001b[2J \u202eParis
    """
    return text.translate(_obeyed())


def column_texts(values: Sequence[Any]) -> list[str]:
    """The values of one column, with one precision so that decimal points align.

    >>> column_texts([0.31839, 0.5, None])
    ['0.3184', '0.5000', '–']
    """
    spec = _precision([value for value in values if isinstance(value, float)])
    return [_text(value, spec) for value in values]


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether the known values are numbers."""
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def _precision(floats: Sequence[float]) -> str:
    """At most four decimals, no more than the values have; 3 digits for small or large values."""
    largest = max(map(abs, floats), default=0.0)
    if largest != 0 and not 0.01 <= largest < 1e6:
        return ".3g"
    exact = (n for n in range(1, 4) if all(abs(round(x, n) - x) < 1e-9 for x in floats))
    return f".{next(exact, 4)}f"


def _text(value: Any, spec: str) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return format(value, spec)
    if isinstance(value, datetime):
        return format(value, "%Y-%m-%d %H:%M:%S")
    value = plain(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
