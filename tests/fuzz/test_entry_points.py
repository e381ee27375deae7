"""Every entry point reads its seeds, and what fuzzing found; and broken seeds end in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fuzz.entry_points import ENTRY_POINTS

CORPUS = Path(__file__).with_name("corpus")
BROKEN = 20
"""Inputs made from each seed; tests/fuzz/fuzz.py makes a million."""


def found() -> Iterator[tuple[str, str]]:
    return ((path.parent.name, path.name) for path in sorted(CORPUS.glob("*/*")))


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS.keys() - {"gguf"}))
def test_seeds_are_read(name: str) -> None:
    assert all(map(ENTRY_POINTS[name], ENTRY_POINTS[name].seeds))


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_broken_seeds_end_in_a_sentence(name: str) -> None:
    entry, random = ENTRY_POINTS[name], Random(name)
    for seed in entry.seeds * BROKEN:
        start = random.randrange(len(seed) + 1)
        end = min(len(seed), start + random.randrange(4))
        entry(seed[:start] + random.randbytes(random.randrange(4)) + seed[end:])


@pytest.mark.parametrize(("name", "file"), [*found()])
def test_what_was_found_ends_in_a_sentence(name: str, file: str) -> None:
    assert not ENTRY_POINTS[name]((CORPUS / name / file).read_bytes())
