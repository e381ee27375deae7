"""Planted knowledge: edits change exactly the planted fact, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kndb.edit.deltas import erase, update
from kndb.edit.directions import direction
from kndb.edit.editor import Editor
from kndb.models import LanguageModel
from kndb.models.architectures import ARCHITECTURES
from kndb.models.asking import Asker
from kndb.models.loading import adapt
from kndb.neurons import Neuron
from planting import gates, plant, quiet_model
from tiny import PROMPTS, hf_model, tokenizer_of

# The same fact in two languages: in English by one token, in Chinese by two.
CHINESE = ("法 国 的 首 都 是 [MASK] 。", "巴 黎")
FRANCE, _, JAPAN, GERMAN = PROMPTS
ENGLISH_NEURON = Neuron(1, 17)


STRENGTH = 5.0
THRESHOLD = -2.0
"""A planted neuron gets 4 on its own prompt and 0 on the others: with ReLU it is silent there."""


def bilingual() -> tuple[LanguageModel[Any], list[Neuron]]:
    """A model that knows one fact in two languages, by neurons that are silent elsewhere.

    They are in the last layer, where only the answer position counts.
    """
    hf = hf_model("bert", hidden_act="relu", hidden_size=96)
    model = adapt(hf, tokenizer_of("bert"), ARCHITECTURES["bert"], "bert")
    english, (first, second) = model.targets(*FRANCE)[0], model.targets(*CHINESE)
    others = [model.targets(*prompt)[0] for prompt in (JAPAN, GERMAN)]
    plant(model, 2, 17, english, [*others, first, second], STRENGTH)
    plant(model, 2, 20, first, [*others, english, second], STRENGTH)
    plant(model, 2, 21, second, [*others, english, first], STRENGTH)
    neurons = [Neuron(2, 17), Neuron(2, 20), Neuron(2, 21)]
    for neuron in neurons:
        gates(model, 2)[0].bias.data[neuron.index] = THRESHOLD
    return model, neurons


def logits(model: LanguageModel[Any], prompt: tuple[str, str]) -> Tensor:
    target = model.targets(*prompt)[0]
    with torch.no_grad():
        found: Tensor = model.hf(input_ids=torch.tensor([target.tokens])).logits
    return found[0, target.position]


def p(model: LanguageModel[Any], prompt: tuple[str, str]) -> float:
    (found,) = Asker(model).ask([prompt])
    assert not isinstance(found, str)
    return found.p


def test_erasing_removes_the_fact_in_both_languages_and_nothing_else() -> None:
    model, neurons = bilingual()
    known = [p(model, FRANCE), p(model, CHINESE)]
    others = [logits(model, prompt) for prompt in (JAPAN, GERMAN)]
    editor = Editor(model)
    done = editor.apply(erase(model, neurons))
    assert p(model, FRANCE) < 0.8 * known[0]
    assert p(model, CHINESE) < 0.8 * known[1]
    for before, prompt in zip(others, (JAPAN, GERMAN), strict=True):
        torch.testing.assert_close(logits(model, prompt), before, atol=1e-6, rtol=0)
    editor.undo(done)
    assert [p(model, FRANCE), p(model, CHINESE)] == known


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama"])
def test_an_update_makes_the_planted_neuron_say_the_new_answer(architecture: str) -> None:
    model = quiet_model(architecture)
    plant(model, 1, 17, model.targets(*FRANCE)[0], [model.targets(*GERMAN)[0]])
    new = "German"
    text, old = FRANCE
    tokens = [tuple(t.answer for t in model.targets(text, answer)) for answer in (old, new)]
    push = direction(model, [(tokens[0], tokens[1])])
    before = p(model, (text, new)), p(model, (text, old))
    with Editor(model).applied(update(model, [ENGLISH_NEURON], 3.0 * push)):
        after = p(model, (text, new)), p(model, (text, old))
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert after[0] > after[1]
