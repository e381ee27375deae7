"""Planted knowledge: the engine ranks exactly the planted neurons first."""

from __future__ import annotations

import pytest

from kndb.attribution import attribute
from planting import plant, quiet_model
from tiny import PROMPTS

ARCHITECTURES = ["bert", "gpt2", "llama"]  # masked, plain causal, gated causal
TWO_TOKENS = {"bert": "New Tokyo", "gpt2": "The", "llama": "The"}
FRANCE, _, JAPAN, GERMAN = PROMPTS


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_neuron(architecture: str) -> None:
    model = quiet_model(architecture)
    (own,), (other,) = (model.targets(*prompt)[:1] for prompt in (FRANCE, GERMAN))
    plant(model, 1, 17, own, [other])
    (found,) = attribute(model, [FRANCE])
    (first, second) = found.top(2)
    assert first[:2] == (1, 17)
    assert first[2] > 3 * second[2]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_is_this_facts_neuron_only(architecture: str) -> None:
    model = quiet_model(architecture)
    (own,), (other,) = (model.targets(*prompt)[:1] for prompt in (FRANCE, GERMAN))
    plant(model, 1, 17, own, [other])
    found = {f.index: f for f in attribute(model, [FRANCE, GERMAN])}
    assert abs(found[1].scores[1, 17]) < 0.05 * found[0].scores[1, 17]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_neurons_in_different_layers(architecture: str) -> None:
    model = quiet_model(architecture)
    (own,), (other,) = (model.targets(*prompt)[:1] for prompt in (FRANCE, GERMAN))
    plant(model, 0, 5, own, [other])
    plant(model, 2, 40, own, [other])
    (found,) = attribute(model, [FRANCE])
    best = found.top(3)
    assert {neuron[:2] for neuron in best[:2]} == {(0, 5), (2, 40)}
    assert best[1][2] > 2 * best[2][2]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_answer_of_several_tokens(architecture: str) -> None:
    model = quiet_model(architecture)
    prompt = (JAPAN[0], TWO_TOKENS[architecture])
    first, second = model.targets(*prompt)
    (other, *_) = model.targets(*GERMAN)
    plant(model, 0, 10, first, [second, other])
    plant(model, 1, 11, second, [first, other])
    (found,) = attribute(model, [prompt])
    best = found.top(3)
    assert {neuron[:2] for neuron in best[:2]} == {(0, 10), (1, 11)}
    assert best[1][2] > 2 * best[2][2]
