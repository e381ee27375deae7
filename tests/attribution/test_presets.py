"""The engine against independent implementations, preset by preset, in fp32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from attribution.naive import Naive
from kndb.attribution import PRESETS, Settings, attribute
from kndb.errors import UsageError
from kndb.models import LanguageModel, Target
from tiny import EVERY_KIND, PROMPTS, tiny

FRANCE, NEW_TOKYO = PROMPTS[0], PROMPTS[2]
"""An answer of one word, and one of several tokens."""

SOME = [FRANCE, NEW_TOKYO]


def post(model: LanguageModel[Any]) -> Naive:
    return Naive(model.hf, model.down, before=True)


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def over_targets(model: LanguageModel[Any], index: int, method: Any) -> Tensor:
    """The mean over the answer's tokens."""
    return torch.stack([method(target) for target in model.targets(*SOME[index])]).mean(0)


@pytest.mark.parametrize(
    "architecture", ["bert", "gpt2", "distilbert", pytest.param("gemma2", marks=pytest.mark.long)]
)
def test_ig_zero_equals_naive(architecture: str) -> None:
    model = tiny(architecture)
    for found in attribute(model, SOME, "ig-zero"):
        expected = over_targets(model, found.index, post(model).ig_zero)
        assert distance(torch.from_numpy(found.scores), expected) < 1e-5


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_amig_code_equals_naive(architecture: str) -> None:
    model: Any = tiny(architecture)
    naive = post(model)
    if architecture == "gpt2":
        # The released code takes the output of mlp.c_fc: neurons before their activation.
        naive = Naive(model.hf, [layer.mlp.c_fc for layer in model.layers], before=False)
    for found in attribute(model, SOME, "amig-code"):
        expected = over_targets(model, found.index, naive.amig_code)
        assert distance(torch.from_numpy(found.scores), expected) < 1e-5


@pytest.mark.parametrize("architecture", ["bert", pytest.param("gpt2", marks=pytest.mark.long)])
def test_amig_paper_equals_naive(architecture: str) -> None:
    model = tiny(architecture)
    for found in attribute(model, SOME, PRESETS["amig-paper"].changed(normalise="none")):
        expected = over_targets(model, found.index, post(model).amig_paper)
        assert distance(torch.from_numpy(found.scores), expected) < 1e-5


def test_normalised_scores_of_a_layer_add_up_to_one() -> None:
    plain = next(
        attribute(tiny("bert"), PROMPTS[:1], PRESETS["amig-paper"].changed(normalise="none"))
    )
    found = next(attribute(tiny("bert"), PROMPTS[:1], "amig-paper"))
    np.testing.assert_allclose(found.scores.sum(1), 1, rtol=1e-4)
    np.testing.assert_allclose(
        found.scores * plain.scores.sum(1, keepdims=True), plain.scores, rtol=1e-4, atol=1e-8
    )


def captum_amig(model: LanguageModel[Any], target: Target, nodes: int) -> Tensor:
    """Captum on "neurons at the answer position → answer probability", per word, summed."""
    naive = post(model)
    layers = []
    for layer in range(model.info.n_layers):

        def probability(rows: Tensor, layer: int = layer) -> Tensor:
            return naive.probabilities(target, layer, rows)

        observed = naive.read(target.tokens, layer, target.position)[None]
        total = torch.zeros_like(observed)
        for word in target.words:
            start = naive.masked(target, word, layer)[None]
            total += IntegratedGradients(probability).attribute(
                observed, start, n_steps=nodes, method="gausslegendre"
            )
        layers.append(total[0])
    return torch.stack(layers)


@pytest.mark.parametrize("architecture", EVERY_KIND)
def test_amig_equals_captum(architecture: str) -> None:
    equals_captum(architecture, FRANCE)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_amig_of_several_tokens_equals_captum(architecture: str) -> None:
    equals_captum(architecture, NEW_TOKYO)


def equals_captum(architecture: str, prompt: tuple[str, str]) -> None:
    model = tiny(architecture)
    fixed = Settings(nodes=6, tolerance=None)
    for found in attribute(model, [prompt], fixed):
        targets = model.targets(*prompt)
        expected = torch.stack([captum_amig(model, t, 6) for t in targets]).mean(0)
        assert distance(torch.from_numpy(found.scores), expected) < 1e-4


@pytest.mark.parametrize(
    "architecture",
    ["bert", *(pytest.param(each, marks=pytest.mark.long) for each in ("gpt2", "llama"))],
)
def test_adaptive_reaches_the_tolerance_and_the_integral(architecture: str) -> None:
    model = tiny(architecture)
    exact = {f.index: f for f in attribute(model, SOME, Settings(nodes=31, tolerance=None))}
    for found in attribute(model, SOME, PRESETS["amig"].changed(tolerance=5e-4)):
        # Below this, the rounding of float32 can leave a larger residual than is allowed.
        assert found.completeness <= 5e-4
        scores = exact[found.index].scores
        assert np.linalg.norm(found.scores - scores) < 3e-3 * np.linalg.norm(scores)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_stored_residual_is_the_true_one(architecture: str) -> None:
    model = tiny(architecture)
    naive = post(model)
    crude = Settings(baseline="mean", quadrature="left", nodes=2, tolerance=None)
    for found in attribute(model, PROMPTS[:2], crude):
        (target, *_) = model.targets(*PROMPTS[found.index])
        worst = 0.0
        for layer in range(model.info.n_layers):
            observed = naive.read(target.tokens, layer, target.position)
            start = torch.stack([naive.masked(target, w, layer) for w in target.words]).mean(0)
            high, low = (float(naive.probability(target, layer, x)) for x in (observed, start))
            total = float(found.scores[layer].sum())
            worst = max(worst, abs(total - (high - low)) / max(abs(high - low), 0.01 * high))
        if len(model.targets(*PROMPTS[found.index])) == 1:
            assert found.completeness == pytest.approx(worst, rel=1e-2)


def test_words_and_mean_differ() -> None:
    words = next(attribute(tiny("bert"), PROMPTS[:1], Settings()))
    mean = next(attribute(tiny("bert"), PROMPTS[:1], Settings(baseline="mean")))
    assert np.abs(words.scores - mean.scores).max() > 0.01 * np.abs(mean.scores).max()


def scores_of(
    model: LanguageModel[Any], prompts: list[tuple[str, str]], memory: int | None = None
) -> list[Any]:
    """Scores in the order of the prompts."""
    found = {it.index: it.scores for it in attribute(model, prompts, "amig", memory=memory)}
    return [found[index] for index in range(len(prompts))]


def same_to_the_last_digits(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_scores_depend_on_neither_batch_nor_order_nor_memory(architecture: str) -> None:
    model = tiny(architecture)
    together = scores_of(model, SOME)
    same_to_the_last_digits(scores_of(model, SOME[::-1])[::-1], together)
    alone = [scores_of(model, [prompt], memory=1)[0] for prompt in SOME]
    same_to_the_last_digits(alone, together)
    for one, again in zip(together, scores_of(model, SOME), strict=True):
        np.testing.assert_array_equal(one, again)


@pytest.mark.long  # beside other programs, two threads are slow
def test_scores_do_not_depend_on_threads() -> None:
    model, threads = tiny("gpt2"), torch.get_num_threads()
    expected = scores_of(model, SOME)
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        same_to_the_last_digits(scores_of(model, SOME), expected)
    finally:
        torch.set_num_threads(threads)


def test_a_gated_block_has_no_neurons_before_the_activation() -> None:
    with pytest.raises(UsageError, match="gated"):
        list(attribute(tiny("llama"), PROMPTS[:1], "amig-code"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline": "nothing"},
        {"quadrature": "simpson"},
        {"tolerance": 0.0},
        {"nodes": 0},
        {"factor": "activation"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong)
