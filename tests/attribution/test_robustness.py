"""Hooks are always removed, running out of memory changes no results, and odd numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from kndb.attribution import Settings, attribute
from kndb.attribution.quadrature import RULES, nodes_and_weights
from kndb.errors import ModelError, UsageError
from kndb.facts import Fact, Prompt
from kndb.models.architectures import ARCHITECTURES
from kndb.models.loading import adapt
from tiny import PROMPTS, hf_model, tiny, tokenizer_of


def hooks(model: Any) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.hf.modules()
    )


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_no_hook_outlives_its_block(architecture: str, error: type[BaseException] | None) -> None:
    model = adapt(
        hf_model(architecture), tokenizer_of(architecture), ARCHITECTURES[architecture], "m"
    )
    before = {name: value.clone() for name, value in model.hf.state_dict().items()}
    if error is None:
        list(attribute(model, PROMPTS))
    else:
        # The last layer fails once the hooks of all layers are in place.
        handle = model.down[-1].register_forward_hook(raising(error))
        with pytest.raises(error):
            list(attribute(model, PROMPTS))
        handle.remove()
    assert hooks(model) == 0
    after = model.hf.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def raising(error: type[BaseException]) -> Callable[..., None]:
    def hook(*args: Any) -> None:
        raise error

    return hook


class Cramped:
    """A hook that lets at most this many rows through, like a device short of memory."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.refused = 0

    def __call__(self, module: Any, args: Any) -> None:
        if len(args[0]) > self.rows:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")


FIXED = Settings(tolerance=None, nodes=3)
"""No path is refined, so that rounding in batches of another size decides nothing."""


@pytest.mark.parametrize("architecture", ["bert", pytest.param("gpt2", marks=pytest.mark.long)])
def test_out_of_memory_halves_the_batch_and_loses_nothing(architecture: str) -> None:
    model = tiny(architecture)
    expected = {f.index: f.scores for f in attribute(model, PROMPTS, FIXED)}
    cramped = Cramped(8)
    handle = model.down[-1].register_forward_pre_hook(cramped)
    try:
        found = {f.index: f.scores for f in attribute(model, PROMPTS, FIXED)}
    finally:
        handle.remove()
    assert cramped.refused
    assert found.keys() == expected.keys()
    for index, scores in found.items():
        np.testing.assert_allclose(scores, expected[index], rtol=1e-4, atol=1e-7)


def test_a_prompt_that_never_fits_is_an_error_in_a_sentence() -> None:
    model = tiny("bert")
    handle = model.down[0].register_forward_pre_hook(Cramped(0))
    try:
        with pytest.raises(ModelError, match="Memory ran out"):
            list(attribute(model, PROMPTS[:1]))
    finally:
        handle.remove()


def test_skipped_prompts_come_with_their_reason() -> None:
    prompts: list[Prompt | tuple[str, str]] = [
        *PROMPTS,
        ("[MASK] is a city .", "Paris"),
        Prompt(Fact("P36", "Q1", "Q2"), "en", "The capital of [X]", "France", "Paris"),
    ]
    found = {f.index: f.reason for f in attribute(tiny("gpt2"), prompts)}
    assert len(found) == len(prompts)
    assert found[4] == "the object is not last"
    assert found[5] == "no placeholder for the answer"
    assert [found[i] for i in range(4)] == [None] * 4


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [2, 3, 20])
def test_weights_add_up_to_one(rule: str, n: int) -> None:
    nodes, weights = nodes_and_weights(rule, n)
    assert len(nodes) == len(weights) == n
    assert weights.sum() == pytest.approx(1)
    assert nodes.min() >= 0
    assert nodes.max() <= 1


def test_gauss_legendre_is_exact_for_polynomials() -> None:
    nodes, weights = nodes_and_weights("gauss-legendre", 3)
    for degree in range(6):
        assert weights @ nodes**degree == pytest.approx(1 / (degree + 1))


def test_one_node_of_linspace_is_refused() -> None:
    """EasyEdit's ``steps: 1`` took ``linspace(0, 1, 1)``: the gradient at zero alone."""
    with pytest.raises(UsageError, match="at least 2"):
        list(attribute(tiny("bert"), PROMPTS[:1], Settings(quadrature="linspace", tolerance=None)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_ranks_like_single(dtype: torch.dtype) -> None:
    hf = hf_model("bert").to(dtype)
    model = adapt(hf, tokenizer_of("bert"), ARCHITECTURES["bert"], "half")
    (half,) = attribute(model, PROMPTS[:1])
    whole = adapt(hf_model("bert"), tokenizer_of("bert"), ARCHITECTURES["bert"], "single")
    (single,) = attribute(whole, PROMPTS[:1])
    assert np.corrcoef(half.scores.ravel(), single.scores.ravel())[0, 1] > 0.98
