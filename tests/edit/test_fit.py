"""A fit is the smallest change that makes the new answer first, and keeps other prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls
from torch import Tensor

from edit.gated import trained_llama
from kndb.edit import fit as fits
from kndb.edit.activations import answer_activations, token_activations
from kndb.edit.deltas import update
from kndb.edit.editor import Editor
from kndb.edit.fit import ENOUGH, fit, log_odds_of, nonnegative
from kndb.edit.weight_rows import typical_length
from kndb.errors import UsageError
from kndb.models import LanguageModel
from kndb.models.architectures import ARCHITECTURES
from kndb.models.asking import Asker
from kndb.models.loading import adapt
from kndb.neurons import Neuron
from tiny import PROMPTS, hf_model, tiny, tokenizer_of

FRANCE, _, JAPAN, GERMANY = PROMPTS
NEURONS = [Neuron(layer, index) for layer in (1, 2) for index in range(0, 48, 4)]


def wanted(model: LanguageModel[Any], new: str = "German") -> Any:
    return model.targets(FRANCE[0], new)


def kept(model: LanguageModel[Any], *prompts: tuple[str, str]) -> dict[int, Tensor]:
    targets = [model.targets(*prompt)[0] for prompt in prompts]
    return token_activations(model, targets, range(model.info.n_layers))


def odds_with(model: LanguageModel[Any], change: Tensor, targets: Any) -> Tensor:
    with torch.no_grad(), Editor(model).applied(update(model, NEURONS, change)):
        return torch.cat([log_odds_of(model, [target]) for target in targets])


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "gpt2", "llama", "gemma2"])
def test_gradients_are_those_of_finite_differences(architecture: str) -> None:
    hf = hf_model(architecture)
    names = ARCHITECTURES[architecture]
    model = adapt(hf, tokenizer_of(architecture), names, architecture, weights_sha256="ab" * 32)
    targets = wanted(model)
    problem = fits._Problem(model, NEURONS, targets, {}, 0.0)
    generator = torch.Generator().manual_seed(0)
    at, step = (
        {
            layer: scale * torch.randn(block.shape, generator=generator)
            for layer, block in problem.no_change().items()
        }
        for scale in (0.05, 3e-3)
    )
    odds, gradients = problem.linearise(at)
    torch.testing.assert_close(
        odds, odds_with(model, problem.rows(at), targets), atol=1e-4, rtol=1e-4
    )
    ends = [
        problem.rows({layer: at[layer] + sign * step[layer] for layer in at}) for sign in (1, -1)
    ]
    up, down = (odds_with(model, end, targets) for end in ends)
    expected = sum((gradients[x] * step[x]).flatten(1).sum(1) for x in at)
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(expected, (up - down) / 2, atol=2e-4, rtol=2e-2)


def test_the_new_answer_is_first_and_undoing_is_bit_for_bit() -> None:
    model = trained_llama()
    text, old = FRANCE
    before = {name: value.clone() for name, value in model.hf.state_dict().items()}
    found = fit(model, NEURONS, wanted(model), kept(model, JAPAN, GERMANY))
    assert found.reached
    asker = Asker(model)
    editor = Editor(model)
    applied = editor.apply(update(model, NEURONS, found.change))
    new, was, other = asker.ask([(text, "German"), (text, old), GERMANY])
    assert not isinstance(new, str)
    assert not isinstance(was, str)
    assert not isinstance(other, str)
    assert new.is_first
    assert new.p > was.p
    assert other.is_first
    editor.undo(applied)
    after = model.hf.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module._forward_hooks for module in model.hf.modules())


def size(
    model: LanguageModel[Any], change: Tensor, tokens: dict[int, Tensor], keep: float
) -> float:
    """What a fit minimises, by its definition."""
    total = 0.0
    for layer in (1, 2):
        rows = [i for i, neuron in enumerate(NEURONS) if neuron.layer == layer]
        u = change[rows] / typical_length(model, layer)
        own = [NEURONS[i] for i in rows]
        a_own = answer_activations(model, wanted(model), own).square().sum(1).mean()
        a = tokens[layer][:, [neuron.index for neuron in own]]
        total += float(u.square().sum() + keep * (a @ u).square().sum(1).mean() / a_own)
    return total


def test_no_change_is_smaller() -> None:
    """SciPy, without closed-form gradients or duals, finds no smaller change."""
    model = trained_llama()
    tokens, targets, keep = kept(model, JAPAN), wanted(model), 3.0
    problem = fits._Problem(model, NEURONS, targets, tokens, keep)
    # An aim close by, since there are several minima further away.
    near = float(problem.linearise(problem.no_change())[0].min()) + 1.0
    found = fit(model, NEURONS, targets, tokens, keep, near)
    aim = float(found.log_odds.min())
    assert aim == pytest.approx(near, abs=2 * ENOUGH)
    shape = {layer: block.shape for layer, block in problem.no_change().items()}

    def blocks(x: Any) -> dict[int, Tensor]:
        flat = torch.tensor(x, dtype=torch.float32)
        n = shape[1].numel()
        return {1: flat[:n].view(shape[1]), 2: flat[n:].view(shape[2])}

    factors = {layer: problem.metric[layer].float() for layer in shape}

    def objective(x: Any) -> tuple[float, Any]:
        u = blocks(x)
        slopes = {layer: 2 * factors[layer] @ factors[layer].T @ u[layer] for layer in u}
        value = sum(float((u[layer] * slopes[layer]).sum()) / 2 for layer in u)
        return value, torch.cat([s.flatten() for s in slopes.values()]).double().numpy()

    def above(x: Any) -> Any:
        return problem.linearise(blocks(x))[0].double().numpy() - aim

    def slope(x: Any) -> Any:
        gradients = problem.linearise(blocks(x))[1]
        return torch.cat([g.flatten(1) for g in gradients.values()], 1).double().numpy()

    start = np.random.default_rng(0).normal(0, 0.05, sum(s.numel() for s in shape.values()))
    other = minimize(
        objective,
        start,
        jac=True,
        method="SLSQP",
        constraints={"type": "ineq", "fun": above, "jac": slope},
        options={"maxiter": 60, "ftol": 1e-4},
    )
    ours = size(model, found.change, tokens, keep)
    theirs = size(model, problem.rows(blocks(other.x)), tokens, keep)
    assert ours == pytest.approx(theirs, rel=0.05)


def test_what_is_to_be_kept_changes_less() -> None:
    model = trained_llama()
    tokens = kept(model, JAPAN, GERMANY)

    def written(keep: float) -> float:
        change = fit(model, NEURONS, wanted(model), tokens, keep).change
        total = 0.0
        for layer in (1, 2):
            rows = [i for i, neuron in enumerate(NEURONS) if neuron.layer == layer]
            a = tokens[layer][:, [NEURONS[i].index for i in rows]]
            total += float((a @ change[rows]).square().sum())
        return total

    assert written(100.0) < 0.5 * written(0.0)


def test_of_what_cannot_be_done_the_nearest_is_returned() -> None:
    model = tiny("llama")
    found = fit(model, [Neuron(0, 1)], wanted(model), {}, log_odds=1e6)
    assert found.change.isfinite().all()
    assert found.log_odds.isfinite().all()


def test_neurons_that_hardly_fire_are_not_blown_up() -> None:
    hf = hf_model("llama")
    model = adapt(hf, tokenizer_of("llama"), ARCHITECTURES["llama"], "llama")
    hf.model.layers[1].mlp.up_proj.weight.data[5] *= 1e-6
    found = fit(model, [Neuron(1, 5)], wanted(model), {})
    assert not found.reached
    furthest = fits.FURTHEST * fits.ROUNDS * typical_length(model, 1)
    assert float(found.change.norm()) <= furthest


def test_unknown_neurons_are_refused() -> None:
    model = tiny("llama")
    with pytest.raises(UsageError, match="no neuron 9:1"):
        fit(model, [Neuron(9, 1)], wanted(model), {})


def test_the_dual_is_solved_as_scipy_solves_it() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, y = generator.normal(size=(8, 5)), generator.normal(size=8)
        expected, _ = nnls(a, y)
        found = nonnegative(torch.tensor(a.T @ a), torch.tensor(a.T @ y))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert nonnegative(torch.zeros(1, 1).double(), torch.ones(1).double()).tolist() == [0.0]
