"""What a model answers, and how edits are scored."""

from __future__ import annotations

import pytest

from kndb.attribution.suppression import Questions
from kndb.edit.scores import Asked, Measured, Seen, harmonic_mean, look, score
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


def seen(p_old: float = 0.5, p_new: float | None = None, first: str = "a") -> Seen:
    return Seen(p_old, p_new, first == "old", first == "new", first, 0.5)


def measured(kind: str, before: Seen, after: Seen, new: str | None = "new") -> Measured:
    return Measured(Asked(1, "P36:Q1", kind, "en", "[MASK]", "old", new), before, after)  # type: ignore[arg-type]


def test_success_is_what_the_mode_wants() -> None:
    old, new, other = seen(first="old"), seen(0.1, 0.8, "new"), seen(0.4, 0.3, "other")
    assert measured("own", old, new).success("update") is True
    assert measured("own", old, other).success("update") is False
    assert measured("own", old, other, None).success("update") is None
    assert measured("own", old, other).success("erase") is True
    assert measured("own", old, old).success("suppress") is False
    # There was nothing to take away.
    assert measured("own", other, other).success("erase") is None
    # A change of the wrong sign is a failure, not an effect.
    assert measured("own", old, other).success("enhance") is False
    assert measured("unrelated", old, old, None).success("update") is True
    assert measured("unrelated", old, other, None).success("update") is False


def test_scores_are_shares_of_each_kind() -> None:
    old, new = seen(first="old"), seen(0.1, 0.8, "new")
    rows = [
        measured("own", old, new),
        measured("own", old, old),
        measured("paraphrase", old, new),
        measured("unrelated", old, old, None),
    ]
    found = score(rows, "update")
    assert (found.reliability, found.generality, found.transfer, found.locality) == (
        0.5,
        1.0,
        None,
        1.0,
    )
    assert found.harmonic == pytest.approx(3 / (2 + 1 + 1))
    assert found.perplexity_before == pytest.approx(1.6487, rel=1e-4)
    assert harmonic_mean([1.0, 0.0]) == 0.0
    assert harmonic_mean([]) is None


def test_locality_alone_has_no_harmonic_mean() -> None:
    old = seen(first="old")
    rows = [measured("own", old, old, None), measured("unrelated", old, old, None)]
    found = score(rows, "update")
    assert (found.reliability, found.locality, found.harmonic) == (None, 1.0, None)


def test_a_prompt_that_cannot_be_asked_is_none() -> None:
    asked = [
        Asked(1, "P36:Q1", "own", "en", PROMPTS[0][0], "Paris", "Tokyo"),
        Asked(2, "P36:Q1", "own", "en", PROMPTS[0][0], "Paris", "Zanzibar"),
    ]
    first, second = look(Asker(tiny("bert")), asked)
    assert first is not None
    assert first.p_new is not None
    assert second is None
