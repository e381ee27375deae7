"""Inputs that nobody would write: JSON of any form in the place of any value, and broken bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
"""Any characters: controls, halves of surrogate pairs, and those not yet assigned."""

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

ODD = st.sampled_from(
    [b"[" * 100_000, b"9" * 5000, b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"", b"\r", b"PAR1", b'"']
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one part of it, whichever, replaced by any JSON, or left out."""
    if isinstance(value, Mapping) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        if draw(st.integers(0, 4)) == 0:
            return rest
        name = draw(TEXTS) if draw(st.integers(0, 4)) == 0 else key
        return {**rest, name: draw(changed(value[key]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(changed(value[at])), *value[at + 1 :]]
    return draw(JSON)


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with something in their midst replaced, inserted or cut off."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 20)))
    return data[:start] + draw(ODD | st.binary(max_size=10)) + data[end:]


def files(value: Any, *, lines: bool = False) -> st.SearchStrategy[bytes]:
    """Files that are nearly JSON of the value; with ``lines``, a few records, one a line."""
    whole = json.dumps(value).encode()
    near = changed(value).map(lambda other: json.dumps(other).encode())
    if lines:
        near = near.map(lambda other: whole + b"\n" + other)
        return near | broken(whole + b"\n" + whole)
    return near | broken(whole)
