"""Adaptive integration: exact scores on stiff paths, and a report when they cannot be reached."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attribution.naive import Naive
from kndb.attribution import Settings, attribute
from kndb.attribution.paths import Follower
from kndb.attribution.quadrature import nested_lobatto
from kndb.models import LanguageModel, Target
from kndb.models.architectures import ARCHITECTURES
from kndb.models.loading import adapt
from tiny import PROMPTS, hf_model, tiny, tokenizer_of

STIFF = ["bert", "llama", "gemma3_text"]


def stiff(architecture: str, dtype: torch.dtype = torch.float32) -> LanguageModel[Any]:
    """A model whose neurons write three times as much, and whose choice is sharp.

    F bends along its paths, so one node is not enough.
    """
    hf = hf_model(architecture).to(dtype)
    model = adapt(hf, tokenizer_of(architecture), ARCHITECTURES[architecture], "stiff")
    down: Any
    for down in model.down:
        down.weight.data *= 3
    if architecture == "bert":  # normalises what its neurons write
        hf.cls.predictions.transform.LayerNorm.weight.data *= 8
    return model


def in_halves(model: LanguageModel[Any], nodes: int) -> Any:
    """Scores of the first prompt, with this many Gauss-Legendre nodes in each half."""
    targets = model.targets(*PROMPTS[0])
    return torch.stack([target_in_halves(model, t, nodes) for t in targets]).mean(0).numpy()


def target_in_halves(model: LanguageModel[Any], target: Target, nodes: int) -> Tensor:
    """The same for one target, by the slow implementation."""
    naive = Naive(model.hf, model.down, before=True)
    alphas, weights = np.polynomial.legendre.leggauss(nodes)
    alphas, weights = (alphas + 1) / 4, weights / 4
    at = torch.tensor([*alphas, *(0.5 + alphas)], dtype=torch.float32)[:, None]
    shares = torch.tensor([*weights, *weights], dtype=torch.float32)
    layers = []
    for layer in range(model.info.n_layers):
        end = naive.read(target.tokens, layer, target.position)
        total = torch.zeros_like(end)
        for word in target.words:
            start = naive.masked(target, word, layer)
            slopes = naive.gradients(target, layer, torch.lerp(start, end, at))
            total += (shares @ slopes) * (end - start)
        layers.append(total)
    return torch.stack(layers)


@pytest.mark.parametrize("architecture", STIFF)
def test_scores_of_stiff_paths_are_exact(architecture: str) -> None:
    model = stiff(architecture)
    exact = in_halves(model, 12)
    (found,) = attribute(model, PROMPTS[:1])
    (one,) = attribute(model, PROMPTS[:1], Settings(nodes=1, tolerance=None))

    def error(scores: Any) -> float:
        return float(np.linalg.norm(scores - exact) / np.linalg.norm(exact))

    assert error(one.scores) > 0.02  # the paths are stiff
    assert found.completeness <= 0.01
    assert found.score_error <= 0.01
    assert error(found.scores) <= 0.01
    assert np.abs(found.scores - exact).max() <= 0.01 * exact.max()


@pytest.mark.parametrize("tolerance", [0.1, 0.001])
def test_the_estimate_is_no_smaller_than_the_error(tolerance: float) -> None:
    model = stiff("llama")
    exact = in_halves(model, 12)
    (found,) = attribute(model, PROMPTS[:1], Settings(tolerance=tolerance))
    error = np.linalg.norm(found.scores - exact) / np.linalg.norm(exact)
    assert error <= found.score_error <= tolerance


def test_a_path_that_runs_out_of_nodes_is_reported() -> None:
    model = stiff("llama")
    (short,) = attribute(model, PROMPTS[:1], Settings(tolerance=1e-4, max_nodes=1))
    (found,) = attribute(model, PROMPTS[:1], Settings(tolerance=1e-4))
    assert max(short.completeness, short.score_error) > 1e-4
    assert max(found.completeness, found.score_error) <= 1e-4


def test_a_fixed_rule_gives_no_estimate() -> None:
    (found,) = attribute(tiny("gpt2"), PROMPTS[:1], Settings(nodes=3, tolerance=None))
    assert math.isnan(found.score_error)


def test_the_gradient_at_the_end_serves_neurons_before_their_activation() -> None:
    settings = Settings(hook="pre", tolerance=1e-3)
    fixed = Settings(hook="pre", tolerance=None, nodes=20)
    for found, exact in zip(
        attribute(tiny("gpt2"), PROMPTS[:2], settings),
        attribute(tiny("gpt2"), PROMPTS[:2], fixed),
        strict=True,
    ):
        error = np.linalg.norm(found.scores - exact.scores)
        assert error <= 1e-3 * np.linalg.norm(exact.scores)


def test_the_nested_rules_are_exact_for_their_degrees() -> None:
    nodes, rules = nested_lobatto()
    for matrix, degree in zip(rules, (0, 1, 3, 7), strict=True):
        weights = matrix[-1]
        for k in range(degree + 1):
            assert weights @ nodes**k == pytest.approx(1 / (k + 1))
        assert weights @ nodes ** (degree + 1) != pytest.approx(1 / (degree + 2), rel=1e-6)
        assert (weights >= 0).all()


def test_the_nested_rules_integrate_polynomials_to_every_node() -> None:
    nodes, rules = nested_lobatto()
    for matrix, degree in zip(rules, (0, 1, 2, 4), strict=True):
        for k in range(degree + 1):
            assert matrix @ nodes**k == pytest.approx(nodes ** (k + 1) / (k + 1))


def test_rounding_is_not_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16, a path's residual can stay above the tolerance with any number of nodes."""
    run = 0
    slopes = Follower.slopes

    def counted(self: Follower, path: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal run
        run += len(path)
        return slopes(self, path, alphas)

    monkeypatch.setattr(Follower, "slopes", counted)
    nodes = []
    for dtype in (torch.float32, torch.bfloat16):
        run = 0
        list(attribute(stiff("bert", dtype), PROMPTS[:1]))
        nodes.append(run)
    single, half = nodes
    assert half <= 4 * single
