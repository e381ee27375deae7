"""Every architecture of the table against whole runs of the Transformers model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attribution.naive import Naive
from kndb.attribution import PRESETS, attribute
from kndb.attribution.suppression import Suppressor
from kndb.models import LanguageModel
from kndb.models.architectures import ARCHITECTURES
from kndb.models.asking import Asker
from kndb.neurons import Neuron
from tiny import PROMPTS, tiny

SETS = [
    (Neuron(0, 3),),
    (Neuron(0, 3), Neuron(1, 21)),
    (Neuron(1, 0), Neuron(1, 21), Neuron(2, 47)),
]
PROMPT = PROMPTS[2]  # its answer has several tokens


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_equals_whole_runs(architecture: str) -> None:
    check(tiny(architecture))


def check(model: LanguageModel[Any]) -> None:
    """Answers, scores, scaled sets and gradients are those of an independent implementation."""
    naive = Naive(model.hf, model.down, before=True)
    targets = model.targets(*PROMPT)
    expected = torch.stack([naive.ig_zero(target, steps=3) for target in targets]).mean(0)
    (found,) = attribute(model, [PROMPT], PRESETS["ig-zero"].changed(nodes=3))
    close(torch.from_numpy(found.scores), expected)
    (answer,) = Asker(model).ask([PROMPT])
    assert not isinstance(answer, str)
    assert answer.p_tokens == pytest.approx(found.p_tokens, rel=1e-4)
    target = targets[0]
    observed, neurons = model.observe(
        torch.tensor([target.tokens]), torch.tensor([target.position]), 1
    )
    outputs = [
        model.project(layer, own).detach().requires_grad_() for layer, own in enumerate(neurons)
    ]
    p = model.observed_probabilities(
        observed, torch.tensor([0]), outputs, torch.tensor([target.answer])
    )
    assert float(p.detach()) == pytest.approx(found.p_tokens[0], rel=1e-4)
    for layer, slope in enumerate(torch.autograd.grad(p.sum(), outputs)):
        close(model.back_project(layer, slope), naive.gradients(target, layer, neurons[layer]))
    suppressed = Suppressor(model, [target]).probabilities(SETS)[0]
    silenced = torch.stack([silent(naive, model, SETS[i]) for i in range(len(SETS))])
    torch.testing.assert_close(suppressed, silenced, rtol=1e-4, atol=1e-9)
    assert float((silenced / p.detach() - 1).abs().max()) > 1e-3  # the neurons matter


def silent(naive: Naive, model: LanguageModel[Any], neurons: tuple[Neuron, ...]) -> Tensor:
    """The answer's probability in a whole run with neurons set to 0."""
    (target, *_) = model.targets(*PROMPT)

    def hook(index: int) -> Any:
        def put(module: Any, inputs: Any) -> Any:
            value = inputs[0].clone()
            value.flatten(0, -2)[target.position, index] = 0
            return (value,)

        return put

    handles = [
        model.down[neuron.layer].register_forward_pre_hook(hook(neuron.index)) for neuron in neurons
    ]
    try:
        with torch.no_grad():
            logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    finally:
        for handle in handles:
            handle.remove()
    p: Tensor = logits[0, target.position].float().softmax(-1)[target.answer]
    return p


def close(found: Tensor, expected: Tensor) -> None:
    assert float((found - expected).norm()) < 1e-4 * float(expected.norm())
