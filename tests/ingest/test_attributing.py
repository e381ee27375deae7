"""However many prompts there are, few are prepared at a time. No model is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kndb.attribution import preset
from kndb.facts import Fact, Prompt
from kndb_ingest import attributing
from kndb_ingest.attributing import Attributing

FACT = Fact("P36", "Q142", "Q90")
SUBJECTS = ["Nigeria", "Fiji", "Romania", "Chad", "Albania", "Peru", "Cuba"]
PROMPTS = [
    (number, Prompt(FACT, lang, "[X] [Y]", subject, "Paris"))
    for number, (subject, lang) in enumerate((s, lang) for s in SUBJECTS for lang in ("fr", "en"))
]


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, Prompt]]]:
    """The prompts that are prepared together; each is skipped."""
    found: list[list[tuple[int, Prompt]]] = []

    def find_outcomes(model: Any, prompts: Mapping[int, Prompt], *_: Any, **__: Any) -> Any:
        found.append(list(prompts.items()))
        return ((key, "skipped") for key in prompts)

    monkeypatch.setattr(attributing, "find_outcomes", find_outcomes)
    return found


def ids() -> Iterator[int]:
    work = Attributing(preset("ig-zero", "masked_lm"), None, None, False)
    for rows in work.results(None, PROMPTS):  # type: ignore[arg-type]
        yield from rows.predictions["prompt_id"].to_pylist()


def test_many_prompts_are_prepared_in_parts_of_alike_ones(
    prepared: list[list[tuple[int, Prompt]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributing, "TOGETHER", 4)
    found = ids()
    first = next(found)
    assert [len(part) for part in prepared] == [4]
    assert sorted([first, *found]) == list(range(len(PROMPTS)))
    assert [len(part) for part in prepared] == [4, 4, 4, 2]
    shapes = [(prompt.lang, len(prompt.text)) for part in prepared for _, prompt in part]
    assert shapes == sorted(shapes)


def test_few_prompts_are_prepared_together_as_they_are_given(
    prepared: list[list[tuple[int, Prompt]]],
) -> None:
    assert list(ids()) == list(range(len(PROMPTS)))
    assert prepared == [PROMPTS]
