"""What a model answers."""

from __future__ import annotations

import pytest

from kndb.attribution.suppression import Questions
from kndb.models.asking import Asker
from tiny import PROMPTS, tiny


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "gpt2", "llama"])
def test_answers_are_those_of_the_engine(architecture: str) -> None:
    model = tiny(architecture)
    targets = [model.targets(*prompt) for prompt in PROMPTS]
    assert {len(one) for one in targets} != {1}
    expected = Questions(model, targets).observed_p.tolist()
    found = Asker(model).ask([*PROMPTS, ("no placeholder", "Paris")])
    assert found[-1] == "no placeholder for the answer"
    for answer, p in zip(found[:-1], expected, strict=True):
        assert not isinstance(answer, str)
        assert answer.p == pytest.approx(p, rel=1e-4)


def test_the_first_choice_is_first() -> None:
    asker = Asker(tiny("bert"))
    text = PROMPTS[0][0]
    (before,) = asker.ask([(text, "Paris")])
    assert not isinstance(before, str)
    (again,) = asker.ask([(text, before.predicted)])
    assert not isinstance(again, str)
    assert again.first
    assert again.p >= before.p
