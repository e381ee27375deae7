"""How edits are scored."""

from __future__ import annotations

import pytest

from kndb.edit.scores import Measurement, Probe, Response, harmonic_mean, responses, score
from kndb.models.asking import Asker
from tiny import PROMPTS, tiny


def response(p_old: float = 0.5, p_new: float | None = None, first: str = "a") -> Response:
    return Response(p_old, p_new, first == "old", first == "new", first, 0.5)


def measurement(
    kind: str, before: Response, after: Response, new: str | None = "new"
) -> Measurement:
    return Measurement(Probe(1, "P36:Q1", kind, "en", "[MASK]", "old", new), before, after)  # type: ignore[arg-type]


def test_success_is_what_the_mode_wants() -> None:
    old, new, other = response(first="old"), response(0.1, 0.8, "new"), response(0.4, 0.3, "other")
    assert measurement("own", old, new).success("update") is True
    assert measurement("own", old, other).success("update") is False
    assert measurement("own", old, other, None).success("update") is None
    assert measurement("own", old, other).success("erase") is True
    assert measurement("own", old, old).success("suppress") is False
    # There was nothing to take away.
    assert measurement("own", other, other).success("erase") is None
    # A change of the wrong sign is a failure, not an effect.
    assert measurement("own", old, other).success("enhance") is False
    assert measurement("unrelated", old, old, None).success("update") is True
    assert measurement("unrelated", old, other, None).success("update") is False


def test_scores_are_shares_of_each_kind() -> None:
    old, new = response(first="old"), response(0.1, 0.8, "new")
    rows = [
        measurement("own", old, new),
        measurement("own", old, old),
        measurement("paraphrase", old, new),
        measurement("unrelated", old, old, None),
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
    old = response(first="old")
    rows = [measurement("own", old, old, None), measurement("unrelated", old, old, None)]
    found = score(rows, "update")
    assert (found.reliability, found.locality, found.harmonic) == (None, 1.0, None)


def test_a_prompt_that_cannot_be_asked_is_none() -> None:
    asked = [
        Probe(1, "P36:Q1", "own", "en", PROMPTS[0][0], "Paris", "Tokyo"),
        Probe(2, "P36:Q1", "own", "en", PROMPTS[0][0], "Paris", "Zanzibar"),
    ]
    first, second = responses(Asker(tiny("bert")), asked)
    assert isinstance(first, Response)
    assert first.p_new is not None
    assert second is None
