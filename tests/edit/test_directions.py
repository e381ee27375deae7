"""An update pushes towards the new answer, regardless of the sign of a neuron's activation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edit.gated import trained_llama
from kndb.attribution import attribute
from kndb.edit.activations import answer_activations, mean_activations, token_activations
from kndb.edit.deltas import update
from kndb.edit.directions import direction, pushes, shares
from kndb.edit.editor import Editor
from kndb.edit.weight_rows import read_rows, typical_length
from kndb.errors import UsageError
from kndb.models import LanguageModel
from kndb.models.architectures import ARCHITECTURES
from kndb.models.asking import Asker
from kndb.models.loading import adapt
from kndb.neurons import Neuron
from planting import gates, plant, quiet_model
from tiny import CAUSAL, MASKED, PROMPTS, hf_model, tiny, tokenizer_of

FRANCE, _, JAPAN, GERMANY = PROMPTS
NEURON = Neuron(1, 17)
STRENGTH = 4.0
"""A model of three layers of 48 neurons needs a stronger push than the default."""


def p(model: LanguageModel[Any], text: str, *answers: str) -> list[float]:
    found = Asker(model).ask([(text, answer) for answer in answers])
    return [answer.p for answer in found if not isinstance(answer, str)]


def towards(model: LanguageModel[Any], text: str, old: str, new: str) -> Tensor:
    tokens = [tuple(t.answer for t in model.targets(text, answer)) for answer in (old, new)]
    return direction(model, [(tokens[0], tokens[1])])


def pushed(
    model: LanguageModel[Any], prompt: tuple[str, str], new: str, neurons: list[Neuron]
) -> Tensor:
    fired = mean_activations(model, [model.targets(*prompt)], neurons)
    return pushes(model, neurons, fired, towards(model, *prompt, new))


@pytest.mark.parametrize("architecture", [*MASKED, *CAUSAL])
def test_activations_are_what_the_projection_gets(architecture: str) -> None:
    model = tiny(architecture)
    neurons = [Neuron(2, 4), Neuron(0, 47), Neuron(2, 5)]
    targets = [target for prompt in PROMPTS for target in model.targets(*prompt)]
    found = answer_activations(model, targets, neurons)
    for target, row in zip(targets, found, strict=True):
        everywhere = token_activations(model, [target], [0, 2])
        expected = [float(everywhere[n.layer][target.position, n.index]) for n in neurons]
        torch.testing.assert_close(row, torch.tensor(expected), atol=1e-5, rtol=1e-4)
    prompts = [model.targets(*prompt) for prompt in (FRANCE, JAPAN)]
    read = [prompt if architecture in MASKED else prompt[:1] for prompt in prompts]
    each = torch.stack([answer_activations(model, one, neurons).mean(0) for one in read])
    torch.testing.assert_close(mean_activations(model, prompts, neurons), each.mean(0))


def test_shares_keep_the_sign_and_silent_neurons_get_nothing() -> None:
    assert shares(torch.tensor([0.5, -2.0, 0.0])).tolist() == [0.25, -1.0, 0.0]
    assert shares(torch.zeros(2)).tolist() == [0.0, 0.0]
    assert shares(torch.empty(0)).tolist() == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_planted_gated_neuron_is_pushed_by_the_sign_of_its_activation(sign: int) -> None:
    model = quiet_model("llama")
    plant(model, 1, 17, model.targets(*FRANCE)[0], [model.targets(*GERMANY)[0]])
    gates(model, 1)[1].weight.data[17] *= sign  # up(x), and so the activation, changes its sign
    down: Any = model.down[1]
    down.weight.data[:, 17] *= sign
    (fired,) = mean_activations(model, [model.targets(*FRANCE)], [NEURON]).tolist()
    assert fired * sign > 1
    text, old = FRANCE
    before = p(model, text, "German", old)
    push = 3 * towards(model, text, old, "German")
    with Editor(model).applied(update(model, [NEURON], push)):
        unsigned = p(model, text, "German", old)
    assert (unsigned[0] > before[0]) == (sign > 0)
    change = 30 * pushed(model, FRANCE, "German", [NEURON])
    with Editor(model).applied(update(model, [NEURON], change)):
        after = p(model, text, "German", old)
    assert after[0] > before[0]
    assert after[1] < before[1]


@pytest.mark.long
def test_a_trained_gated_model_says_the_new_answer() -> None:
    model = trained_llama()
    text, old = FRANCE
    assert p(model, text, old)[0] > 0.5
    (found,) = attribute(model, [FRANCE])
    neurons = sorted(Neuron(layer, index) for layer, index, _ in found.top(12))
    fired = mean_activations(model, [model.targets(*FRANCE)], neurons)
    assert min(fired) < 0 < max(fired)
    (before,) = p(model, text, "German")
    change = STRENGTH * pushed(model, FRANCE, "German", neurons)
    with Editor(model).applied(update(model, neurons, change)):
        after = p(model, text, "German", old)
    assert after[0] > max(0.5, after[1])
    # Pushing against the signs does the opposite.
    with Editor(model).applied(update(model, neurons, -change)):
        assert p(model, text, "German")[0] < before


@pytest.mark.parametrize("scaled", ["rows", "embeddings"])
def test_lambda_means_the_same_whatever_the_scale_of_rows_or_embeddings(scaled: str) -> None:
    neurons = [Neuron(0, 3), Neuron(1, 5), Neuron(1, 6)]
    model = adapt(hf_model("llama"), tokenizer_of("llama"), ARCHITECTURES["llama"], "llama")
    before = pushed(model, FRANCE, "German", neurons)
    if scaled == "embeddings":
        model.unembedding.weight.data *= 10  # the change is the same
        torch.testing.assert_close(pushed(model, FRANCE, "German", neurons), before)
        return
    for layer in range(model.info.n_layers):  # neurons fire 10 times as strongly, rows are shorter
        gates(model, layer)[1].weight.data *= 10
        down: Any = model.down[layer]
        down.weight.data /= 10
    after = pushed(model, FRANCE, "German", neurons)
    # What the change writes, activation times row, is the same.
    torch.testing.assert_close(10 * after, before, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_at_lambda_1_the_most_active_row_changes_by_a_typical_length(architecture: str) -> None:
    model = tiny(architecture)
    neurons = [Neuron(1, index) for index in range(model.info.n_neurons)]
    rows = read_rows(model, neurons)
    expected = float(rows.square().sum(1).mean().sqrt())
    assert typical_length(model, 1) == pytest.approx(expected, rel=1e-5)
    lengths = pushed(model, FRANCE, "German", neurons).norm(dim=1)
    assert float(lengths.max()) == pytest.approx(expected, rel=1e-5)
    linear = isinstance(model.down[1], nn.Linear)
    assert rows.shape == (model.down[1].weight.T if linear else model.down[1].weight).shape


@pytest.mark.parametrize("architecture", ["albert", "electra"])
def test_an_embedding_of_another_width_is_no_direction(architecture: str) -> None:
    with pytest.raises(UsageError, match="is 24 wide and its residual stream 32"):
        direction(tiny(architecture), [((5,), (6,))])


def test_the_same_answer_is_no_direction() -> None:
    model = tiny("bert")
    nothing = direction(model, [((5,), (5,))])
    assert not pushes(model, [NEURON], torch.ones(1), nothing).any()
