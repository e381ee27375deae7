"""Scaled sets against whole runs of the Transformers model with hooks, one set at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import combinations
from typing import Any

import pytest
import torch

from attribution.naive import hooked
from kndb.attribution.suppression import Questions, Suppressor, branches
from kndb.errors import UsageError
from kndb.models import LanguageModel, Target
from kndb.models.head import IN_CACHE, AnswerProbability
from kndb.neurons import Neuron
from tiny import CAUSAL, EVERY_KIND, MASKED, PROMPTS, tiny

NEURONS = [Neuron(*pair) for pair in [(0, 3), (0, 40), (1, 0), (1, 21), (2, 7), (2, 47)]]
SETS = [silent for size in (1, 2, 3) for silent in combinations(NEURONS, size)]


def naive(
    model: LanguageModel[Any], target: Target, silent: Sequence[Neuron], factor: float = 0
) -> float:
    """The answer's probability in one whole run, with hooks that scale the neurons."""

    def silence(neuron: Neuron) -> Any:
        def hook(module: Any, inputs: Any) -> Any:
            value = inputs[0].clone()
            value.flatten(0, -2)[target.position, neuron.index] *= factor
            return (value,)

        return hook

    with ExitStack() as stack, torch.no_grad():
        for neuron in silent:
            site = model.down[neuron.layer]
            stack.enter_context(hooked(site, silence(neuron), before=True))
        logits = model.hf(input_ids=torch.tensor([target.tokens])).logits
    return float(logits[0, target.position].softmax(-1)[target.answer])


@pytest.mark.parametrize("architecture", MASKED + CAUSAL)
def test_every_set_equals_a_whole_run(architecture: str) -> None:
    model = tiny(architecture)
    (target, *_) = model.targets(*PROMPTS[0])
    suppressor = Suppressor(model, [target])
    expected = [naive(model, target, silent) for silent in SETS]
    assert suppressor.observed_p.tolist() == pytest.approx([naive(model, target, [])], rel=1e-5)
    torch.testing.assert_close(
        suppressor.probabilities(SETS)[0], torch.tensor(expected), rtol=1e-5, atol=1e-9
    )
    # The test sees something: neurons of these models matter.
    assert max(expected) - min(expected) > 0.02 * float(suppressor.observed_p)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_prompts_of_several_tokens_and_lengths(architecture: str) -> None:
    model = tiny(architecture)
    prompts = [model.targets(*prompt) for prompt in PROMPTS]
    assert len({len(target.tokens) for targets in prompts for target in targets}) > 1
    assert max(len(targets) for targets in prompts) > 1
    questions = Questions(model, prompts)
    found = questions.probabilities(SETS)
    for row, (targets, before) in enumerate(zip(prompts, questions.observed_p, strict=True)):
        every = [naive(model, target, ()) for target in targets]
        assert float(before) == pytest.approx(sum(every) / len(every), rel=1e-5)
        for column in (0, 8, 20):
            every = [naive(model, target, SETS[column]) for target in targets]
            assert float(found[row, column]) == pytest.approx(sum(every) / len(every), rel=1e-5)


@pytest.mark.parametrize("architecture", EVERY_KIND)
@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_every_scaled_set_equals_a_whole_run(architecture: str, factor: float) -> None:
    model = tiny(architecture)
    targets = model.targets(*PROMPTS[2])
    found = Questions(model, [targets]).probabilities(SETS, factor)[0]
    expected = torch.tensor(
        [[naive(model, target, silent, factor) for target in targets] for silent in SETS]
    )
    torch.testing.assert_close(found.float(), expected.mean(1), rtol=1e-5, atol=1e-9)
    assert float(expected.max() - expected.min()) > 0.02 * float(expected.mean())


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_a_small_budget_changes_nothing(architecture: str) -> None:
    model = tiny(architecture)
    targets = model.targets(*PROMPTS[0])[:1]
    whole = Suppressor(model, targets).probabilities(SETS)
    length = len(targets[0].tokens)
    parts = Suppressor(model, targets, memory=3 * model.row_bytes(length)[0]).probabilities(SETS)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-9)


def test_sets_keep_their_order_and_may_repeat() -> None:
    model = tiny("bert")
    suppressor = Suppressor(model, model.targets(*PROMPTS[0]))
    sets = [SETS[30], SETS[2], SETS[2], SETS[10]]
    alone = torch.cat([suppressor.probabilities([silent]) for silent in sets], dim=1)
    torch.testing.assert_close(suppressor.probabilities(sets), alone, rtol=1e-5, atol=1e-9)
    assert suppressor.probabilities([]).shape == (1, 0)


def test_pairs_branch_off_from_single_neurons() -> None:
    neurons = [Neuron(i % 12, i) for i in range(20)]
    pairs = [(0, tuple(sorted(pair))) for pair in combinations(neurons, 2)]
    plan, rows = branches(pairs, 12, 1)
    # All but the neuron of the last layer have others above them, with which they are a pair.
    starts = [silent for _, silent in rows if len(silent) == 1]
    assert len(starts) == 19
    assert len(rows) == 190 + 19 == sum(len(branch.parents) for branch in plan)


def test_unknown_neurons_and_empty_sets_are_refused() -> None:
    model = tiny("bert")
    suppressor = Suppressor(model, model.targets(*PROMPTS[0]))
    with pytest.raises(UsageError, match="no neuron 3:0: it has 3 layers of 48 neurons"):
        suppressor.probabilities([(Neuron(3, 0),)])
    with pytest.raises(UsageError, match="no neuron 0:48"):
        suppressor.probabilities([(Neuron(0, 48),)])
    with pytest.raises(UsageError, match="no neurons"):
        suppressor.probabilities([()])


def test_no_hook_is_left_behind() -> None:
    model = tiny("gpt2")
    Suppressor(model, model.targets(*PROMPTS[0])[:1]).probabilities(SETS)
    assert not any(module._forward_pre_hooks for module in model.hf.modules())


@pytest.mark.parametrize("cap", [None, 3.0])
def test_the_head_in_parts_of_a_large_vocabulary(cap: float | None) -> None:
    torch.manual_seed(0)
    part = IN_CACHE // 5
    size = 2 * part + 17
    hidden, weight, bias = torch.randn(5, 8), torch.randn(size, 8), torch.randn(size)
    answers = torch.tensor([0, part - 1, part, size - 1, 12345])
    apply: Any = AnswerProbability.apply
    found = apply(hidden, weight, bias, answers, cap)
    hidden.requires_grad_()
    logits = hidden @ weight.T + bias
    logits = logits if cap is None else cap * (logits / cap).tanh()
    expected = logits.softmax(1).gather(1, answers[:, None])[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    with_gradient = apply(hidden, weight, bias, answers, cap)
    torch.testing.assert_close(found, with_gradient, rtol=1e-4, atol=0)
    (slope,) = torch.autograd.grad(with_gradient.log().sum(), hidden)
    (expected_slope,) = torch.autograd.grad(expected.log().sum(), hidden)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-3, atol=1e-4)  # sums of 100,000 words
