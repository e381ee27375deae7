"""Numbers that are not finite fail their own prompt, name the layer, and touch no other prompt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from kndb.attribution import attribute
from kndb.attribution.engine import _problems
from kndb.models import LanguageModel
from overflowing import overflowing
from tiny import PROMPTS, tiny


def own_token(model: LanguageModel[Any]) -> int:
    """A token that the first prompt alone has."""
    own, *others = (
        {token for target in model.targets(*prompt) for token in target.tokens}
        for prompt in PROMPTS
    )
    return min(own.difference(*others))


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_one_prompt_fails_and_the_others_do_not_notice(architecture: str) -> None:
    model = tiny(architecture)
    expected = {found.index: found for found in attribute(model, PROMPTS)}
    with overflowing(model, own_token(model)):
        found = {each.index: each for each in attribute(model, PROMPTS)}
    assert found[0].failed
    assert found[0].reason == "the activations of layer 0 are not finite"
    assert found[0].scores.size == 0
    for index in range(1, len(PROMPTS)):
        assert not found[index].failed
        np.testing.assert_allclose(found[index].scores, expected[index].scores, atol=1e-6)


def test_the_first_layer_is_named_and_activations_before_scores() -> None:
    neurons = [torch.ones(5, 4) for _ in range(3)]
    owners = torch.tensor([0, 1, 2, 1, 2])  # three prompts, and two sentences for baselines
    scores = torch.zeros(3, 3, 4)
    neurons[2][3, 1], neurons[1][3, 0] = math.nan, math.inf
    scores[1, 0, 0], scores[2, 1, 3] = math.nan, -math.inf
    assert _problems(neurons, owners, scores) == [
        None,
        "the activations of layer 1 are not finite",
        "the scores of layer 1 are not finite",
    ]
