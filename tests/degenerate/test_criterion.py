"""The level-by-level search on hand-made drops, and planted redundancy in tiny models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attribution.test_suppression import naive
from kndb.attribution import attribute
from kndb.attribution.suppression import Questions
from kndb.degenerate.criterion import Criterion, Group, proper_subsets, search
from kndb.degenerate.examine import Findings, examine, mean_drops
from kndb.errors import UsageError
from kndb.models import LanguageModel, Target
from kndb.neurons import Neuron, random_like
from planting import gates, plant, quiet_model, raising
from tiny import PROMPTS, tiny


def asked_by(measure: Callable[[Group], float]) -> tuple[list[Group], Any]:
    """A measure of many groups, and a list of the groups it has been called with."""
    asked: list[Group] = []

    def many(groups: Sequence[Group]) -> list[float]:
        asked.extend(groups)
        return [measure(group) for group in groups]

    return asked, many


def found(drops: dict[Group, float], criterion: Criterion) -> list[Group]:
    """The degenerate sets found with these drops; sets not listed drop by 0."""
    n = 1 + max(max(group) for group in drops)
    _, measure = asked_by(lambda group: drops.get(group, 0.0))
    tried = search(n, measure, criterion)
    return [group for group in tried.sets if criterion.is_degenerate(group, tried.drops)]


def test_a_pair() -> None:
    assert found({(0, 2): 0.5, (3,): 0.0}, Criterion()) == [(0, 2)]


def test_thresholds_at_their_edges() -> None:
    low, high = 0.2, 0.25
    assert found({(0,): low, (0, 1): 0.3}, Criterion(t_low=low, t_high=high)) == [(0, 1)]
    above = low + 1e-9
    assert found({(0,): above, (0, 1): 0.3}, Criterion(t_low=low, t_high=high)) == []
    assert found({(0, 1): high}, Criterion(t_low=low, t_high=high)) == []
    assert found({(0, 1): high + 1e-9}, Criterion(t_low=low, t_high=high)) == [(0, 1)]


def test_a_neuron_that_matters_by_itself_is_in_no_set() -> None:
    asked, measure = asked_by(lambda group: 0.9 if 1 in group else 0.0)
    tried = search(4, measure, Criterion(max_size=3))
    assert tried.sets == [(0, 2), (0, 3), (2, 3), (0, 2, 3)]
    assert len(asked) == len(set(asked))


def test_larger_sets_come_only_from_sets_that_do_not_matter() -> None:
    def measure(group: Group) -> float:
        return 0.22 if {0, 1} <= set(group) else 0.0  # between the thresholds

    asked, many = asked_by(measure)
    tried = search(5, many, Criterion(max_size=5))
    due = [
        group
        for size in range(2, 6)
        for group in combinations(range(5), size)
        if all(measure(part) <= 0.2 for part in proper_subsets(group))
    ]
    assert sorted(tried.sets) == sorted(due)
    assert (0, 1, 2) not in asked


def test_a_set_of_three() -> None:
    drops = {(1, 2, 4): 0.6, (5,): 0.0}
    assert found(drops, Criterion(max_size=3)) == [(1, 2, 4)]
    assert found(drops, Criterion(max_size=4)) == [(1, 2, 4)]
    assert found(drops, Criterion(max_size=2)) == []


def test_the_budget_goes_to_the_strongest_and_the_rest_is_counted() -> None:
    asked, measure = asked_by(lambda group: 0.0)
    tried = search(5, measure, Criterion(max_size=3, budget=4))
    assert tried.sets == [(0, 1), (0, 2), (0, 3), (1, 2)]
    assert (tried.untried, tried.untried_size) == (6, 2)
    assert len(asked) == 5 + 4
    _, measure = asked_by(lambda group: 0.0)
    tried = search(5, measure, Criterion(max_size=3, budget=12))
    assert len(tried.sets) == 12
    assert (tried.untried, tried.untried_size) == (8, 3)


def test_few_neurons() -> None:
    _, measure = asked_by(lambda group: 0.0)
    assert search(0, measure, Criterion()).drops == {}
    assert search(1, measure, Criterion()).sets == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_size": 1}, "at least 2"),
        ({"budget": 0}, "budget"),
        ({"drop": "log"}, "relative, absolute"),
        ({"t_low": 0.3, "t_high": 0.2}, "t-low <= t-high"),
        ({"t_low": -0.1}, "t-low <= t-high"),
        ({"t_high": 1.0}, "t-high < 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Criterion(**options)


def test_drops_are_means_over_prompts() -> None:
    before = torch.tensor([0.8, 0.2, 0.0], dtype=torch.double)
    after = torch.tensor([[0.4, 0.8], [0.2, 0.1], [0.0, 0.0]], dtype=torch.double)
    assert mean_drops(before, after, "relative").tolist() == pytest.approx([0.25, 0.25])
    assert mean_drops(before, after, "absolute").tolist() == pytest.approx([0.2, 0.05])


def test_random_neurons_are_others_of_the_same_layers() -> None:
    neurons = [Neuron(1, 5), Neuron(0, 3), Neuron(1, 2)]
    avoid = [*neurons, Neuron(1, 9)]
    drawn = random_like(neurons, avoid, 10, seed=3)
    assert drawn is not None
    assert [neuron.layer for neuron in drawn] == [1, 0, 1]
    assert len(set(drawn)) == 3
    assert not set(drawn) & set(avoid)
    assert drawn == random_like(neurons, avoid, 10, seed=3)
    assert drawn != random_like(neurons, avoid, 10, seed=4)
    assert random_like(neurons, [Neuron(1, index) for index in range(9)], 10, seed=3) is None


# Planted redundancy: neurons that all write the answer so strongly that one of them is enough.

FAMILIES = ["bert", "gpt2", "llama"]
FRANCE, GERMAN = PROMPTS[0], PROMPTS[3]


def redundant(architecture: str, layer: int, indices: Sequence[int]) -> LanguageModel[Any]:
    """A model in which any one of these neurons suffices to answer the first prompt.

    Their output dwarfs the rest of the residual stream, which is normalised afterwards.
    """
    model = quiet_model(architecture)
    (own,), (other,) = (model.targets(*prompt)[:1] for prompt in (FRANCE, GERMAN))
    first, *copies = indices
    plant(model, layer, first, own, [other], strength=10)
    for copy in copies:
        for gate in gates(model, layer):
            rows(gate)[copy] = rows(gate)[first]
            if gate.bias is not None:
                bias(gate)[copy] = bias(gate)[first]
        columns = rows(model.down[layer]).T
        columns[copy] = columns[first]
    return model


def always_on(model: LanguageModel[Any], neurons: Sequence[Neuron], target: Target) -> None:
    """Make neurons of ungated blocks fire on any input and write the target's answer."""
    direction = raising(model, model.info.n_layers - 1, target)
    for neuron in neurons:
        (gate,) = gates(model, neuron.layer)
        rows(gate)[neuron.index] = 0
        bias(gate)[neuron.index] = 4
        rows(model.down[neuron.layer]).T[neuron.index] = 10 * direction


def rows(module: nn.Module) -> Tensor:
    """A projection's weights, one row per output."""
    weight: Any = module.weight
    return weight.data if isinstance(module, nn.Linear) else weight.data.T  # type: ignore[no-any-return]


def bias(module: Any) -> Tensor:
    """A projection's bias, one number per output."""
    return module.bias.data  # type: ignore[no-any-return]


def findings(
    model: LanguageModel[Any], neurons: Sequence[Neuron], criterion: Criterion
) -> Findings:
    control = random_like(neurons, neurons, model.info.n_neurons, seed=0)
    return examine(Questions(model, [model.targets(*FRANCE)[:1]]), neurons, control, criterion)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_two_redundant_neurons_are_a_pair(architecture: str) -> None:
    model = redundant(architecture, 1, [17, 30])
    (attributed,) = attribute(model, [FRANCE])
    neurons = [Neuron(layer, index) for layer, index, _ in attributed.top(8)]
    assert set(neurons[:2]) == {Neuron(1, 17), Neuron(1, 30)}
    result = findings(model, neurons, Criterion())
    (pair,) = result.found("degenerate")
    assert pair.neurons == (Neuron(1, 17), Neuron(1, 30))
    assert pair.drop > 0.8
    assert pair.max_subset_drop < 0.1
    assert {part for part, _ in pair.subsets} == {(Neuron(1, 17),), (Neuron(1, 30),)}
    assert pair.p_after < 0.2 * result.p_before
    assert len(result.tried.sets) == result.n_control == 28
    assert result.found("control") == []
    # The pair's random counterpart is stored with it.
    (counterpart,) = [found for found in result.sets if found.kind == "control"]
    assert [neuron.layer for neuron in counterpart.neurons] == [1, 1]
    assert not counterpart.is_degenerate


@pytest.mark.parametrize("architecture", FAMILIES)
def test_three_of_which_one_is_enough_are_a_set_of_three(architecture: str) -> None:
    model = redundant(architecture, 1, [17, 30, 40])
    neurons = [Neuron(0, 2), *(Neuron(1, index) for index in (40, 3, 17, 30)), Neuron(2, 5)]
    assert findings(model, neurons, Criterion()).sets == ()
    (found,) = findings(model, neurons, Criterion(max_size=4)).found("degenerate")
    assert found.neurons == (Neuron(1, 17), Neuron(1, 30), Neuron(1, 40))
    assert found.drop > 0.8
    assert found.max_subset_drop < 0.1
    assert len(found.subsets) == 6


def test_redundant_neurons_of_different_layers() -> None:
    model = quiet_model("gpt2")
    pair = (Neuron(0, 7), Neuron(2, 11))
    (target,) = model.targets(*FRANCE)[:1]
    always_on(model, pair, target)
    neurons = [Neuron(0, 1), pair[1], Neuron(1, 4), pair[0]]
    (found,) = findings(model, neurons, Criterion()).found("degenerate")
    assert found.neurons == pair


def test_an_absolute_drop_is_one_of_probability() -> None:
    model = redundant("gpt2", 1, [17, 30])
    neurons = [Neuron(1, 17), Neuron(1, 30)]
    (relative,) = findings(model, neurons, Criterion()).found("degenerate")
    result = findings(model, neurons, Criterion(drop="absolute"))
    (absolute,) = result.found("degenerate")
    assert absolute.drop == pytest.approx(result.p_before - absolute.p_after)
    assert relative.drop == pytest.approx(absolute.drop / result.p_before)
    high = (result.p_before + 1) / 2  # larger than any possible drop
    assert findings(model, neurons, Criterion(drop="absolute", t_high=high)).sets == ()


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_pair_search_equals_a_naive_one(architecture: str) -> None:
    """The released code's loop: one full forward pass per neuron and per pair, with hooks."""
    model = tiny(architecture)
    targets = model.targets(*FRANCE)[:1]
    neurons = [Neuron(layer, index) for layer in (2, 0, 1) for index in (4, 31, 46)]
    p = naive(model, targets[0], ())

    def drop(silent: Sequence[Neuron]) -> float:
        return 1 - naive(model, targets[0], silent) / p

    pairs = {pair: drop(pair) for pair in combinations(neurons, 2)}
    low = (
        sorted(drop([neuron]) for neuron in neurons)[-2] + 1e-6
    )  # one neuron is too strong by itself
    criterion = Criterion(t_low=low, t_high=low)
    good = [neuron for neuron in neurons if drop([neuron]) <= low]
    expected = {
        tuple(sorted(pair)): pairs[pair]
        for pair in combinations(good, 2)
        if pairs[pair] > criterion.t_high
    }
    result = examine(Questions(model, [targets]), neurons, None, criterion)
    found = {pair.neurons: pair.drop for pair in result.found("degenerate")}
    assert len(good) == len(neurons) - 1
    assert found.keys() == expected.keys()
    assert expected
    assert found == pytest.approx(expected, abs=1e-5)
    assert len(result.tried.sets) == len(good) * (len(good) - 1) // 2
    assert result.n_control == 0
